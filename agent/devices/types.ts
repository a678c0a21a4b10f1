/** Types of devices that the host may plug in for a container, by their names in the agent API. */
export const DEVICE_TYPES: readonly string[] = [
  "blk",
  "blk-ccw",
  "mmioblk",
  "nvdimm",
  "scsi",
  "vfio-pci",
  "vfio-pci-gk",
];
