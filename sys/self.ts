/** The file of the running program, to be read: the very one, even if another was put in its place since. */
export const OWN_FILE = "/proc/self/exe";
