/**
 * Kernel modules of packet filters, old and new, with the matches and targets that rules of Kubernetes and service meshes
 * use. A kernel need not have all of them.
 */
export const PACKET_FILTER_MODULES: readonly string[] = [
  ..."nf_tables nft_compat nft_chain_nat nft_ct nft_nat nft_masq nft_redir".split(" "),
  ..."ip_tables iptable_filter iptable_nat iptable_mangle iptable_raw".split(" "),
  ..."ip6_tables ip6table_filter ip6table_nat ip6table_mangle ip6table_raw".split(" "),
  ..."xt_tcpudp xt_conntrack xt_comment xt_multiport xt_mark xt_connmark xt_addrtype xt_owner".split(" "),
  ..."xt_limit xt_statistic xt_state xt_nat xt_MASQUERADE xt_REDIRECT xt_LOG xt_TPROXY xt_socket".split(" "),
  ..."ipt_REJECT ip6t_REJECT".split(" "),
];

/** Kernel modules by which programs drive devices themselves. Nothing names the second one to the kernel but a program. */
export const VFIO_MODULES: readonly string[] = ["vfio_pci", "vfio_iommu_type1"];
