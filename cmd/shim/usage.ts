/** What a person is told who calls the shim. */
export const USAGE =
  `containerd-shim-kata-v2: called by containerd and CRI-O, once for each pod. People call kata-runtime.

  containerd-shim-kata-v2 -namespace NAME -id ID -address SOCKET [-bundle DIR] [-debug] start|delete
  containerd-shim-kata-v2 -info       what it is and can do, as containerd reads it (protobuf)
  containerd-shim-kata-v2 --version`;
