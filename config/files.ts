/** Where the configuration is looked for; apart from its reader, for those who only ask for the places. */

/** Name of the main file in the folders that are searched. */
export const FILE_NAME = "configuration.toml";

/** Where administrators and packages put the main file; the first that exists counts. */
export const DEFAULT_FILES: readonly string[] = [
  `/etc/kata-containers/${FILE_NAME}`,
  `/usr/share/defaults/kata-containers/${FILE_NAME}`,
];
