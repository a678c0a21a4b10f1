/** Errors of the configuration: one sentence that says where, what was found, and what would be right. */

/** A configuration that cannot be used. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** Where a value came from. */
export interface Origin {
  /** A file with its line if known (`/etc/x.toml:12`), or an annotation. */
  readonly where: string;
  /** The key with its table, such as `hypervisor.qemu.kernel`. */
  readonly key: string;
}

/** @param problem what would be right, such as "must be a string" */
export function badSetting(origin: Origin, value: unknown, problem: string): ConfigError {
  return new ConfigError(`${origin.where}: ${origin.key} = ${show(value)}: ${problem}`);
}

function show(value: unknown): string {
  // JSON knows neither large nor infinite numbers
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
