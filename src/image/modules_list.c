/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modules themselves. Dependencies need not be listed. A kernel that has
 * one of them built in, or does not know it, goes without.
 */
#include "image/modules.h"

/* Disks, root file system, vsock: nothing goes without. */
const char *const modules_early[] = {
	"virtio_mmio",
	"virtio_blk",
	"crc32c_intel",
	"libcrc32c",
	"erofs",
	"overlay",
	"vmw_vsock_virtio_transport",
};
const size_t n_modules_early = ARRAY_SIZE(modules_early);

/*
 * The network's interface and workspaces, which the agent waits for; memory,
 * the redirect to the gate, Docker's bridges, both flavours of iptables.
 */
const char *const modules_late[] = {
	"tun",
	"virtiofs",
	"virtio_balloon",
	"virtio_rng",
	"nf_tables",
	"nft_chain_nat",
	"nft_redir",
	"nft_nat",
	"nft_masq",
	"nft_ct",
	"nft_compat",
	"nft_reject_inet",
	"nft_fib_inet",
	"nft_limit",
	"nft_log",
	"nf_log_syslog",
	"veth",
	"bridge",
	"br_netfilter",
	"dummy",
	"macvlan",
	"ipvlan",
	"vxlan",
	"xt_tcpudp",
	"xt_conntrack",
	"xt_MASQUERADE",
	"xt_REDIRECT",
	"xt_addrtype",
	"xt_nat",
	"xt_comment",
	"xt_mark",
	"xt_connmark",
	"xt_multiport",
	"xt_limit",
	"xt_owner",
	"xt_statistic",
	"xt_set",
	"ip_set_hash_net",
	"ipt_REJECT",
	"ip6t_REJECT",
	"iptable_nat",
	"iptable_filter",
	"ip6table_nat",
	"ip6table_filter",
	"nf_conntrack_netlink",
	"loop",
	"binfmt_misc",
};
const size_t n_modules_late = ARRAY_SIZE(modules_late);
