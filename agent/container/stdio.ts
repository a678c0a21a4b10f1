/**
 * The child's ends of a process's standard streams. Their creator owns them, and may close them as soon as creating
 * the process has returned: the process has copies.
 */
export type StdioEnds = StdioPipes | StdioTerminal;

/** Three descriptors that become 0, 1 and 2. */
export interface StdioPipes {
  readonly kind: "pipes";
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
}

/** A terminal that becomes 0, 1 and 2, and the process's controlling terminal. */
export interface StdioTerminal {
  readonly kind: "terminal";
  readonly slave: number;
  /** path of the terminal in the agent's own devpts; bound on the container's `/dev/console` */
  readonly slavePath: string;
}
