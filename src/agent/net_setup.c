/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net_setup.h"

#include "base/fd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define TABLE "cove"
#define NAT_PRIORITY (-100) /* NF_IP_PRI_NAT_DST */
#define FIB_RESULT_OIF 1u   /* NFT_FIB_RESULT_OIF */
#define FIB_DADDR 2u        /* NFTA_FIB_F_DADDR */

/* Messages under construction; sizes are ours, so nothing can overflow. */
struct msgs {
	uint8_t data[2048] __attribute__((aligned(4)));
	size_t len;
	uint32_t seq;
};

static struct nlmsghdr *begin(struct msgs *m, uint16_t type, uint16_t flags,
	const void *p, size_t len)
{
	struct nlmsghdr *h = (void *)(m->data + m->len);

	*h = (struct nlmsghdr){.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_seq = ++m->seq};
	memcpy(NLMSG_DATA(h), p, len);
	m->len += NLMSG_HDRLEN + NLMSG_ALIGN(len);
	return h;
}

static void end(struct msgs *m, struct nlmsghdr *h)
{
	h->nlmsg_len = (uint32_t)(m->data + m->len - (uint8_t *)h);
}

static void attr(struct msgs *m, uint16_t type, const void *p, size_t len)
{
	struct nlattr *a = (void *)(m->data + m->len);

	*a = (struct nlattr){(uint16_t)(NLA_HDRLEN + len), type};
	memcpy((uint8_t *)a + NLA_HDRLEN, p, len);
	m->len += NLA_HDRLEN + NLA_ALIGN(len);
}

static void attr_str(struct msgs *m, uint16_t type, const char *s)
{
	attr(m, type, s, strlen(s) + 1);
}

static void attr_be32(struct msgs *m, uint16_t type, uint32_t v)
{
	v = htonl(v);
	attr(m, type, &v, sizeof(v));
}

static struct nlattr *nest(struct msgs *m, uint16_t type)
{
	struct nlattr *a = (void *)(m->data + m->len);

	a->nla_type = type | NLA_F_NESTED;
	m->len += NLA_HDRLEN;
	return a;
}

static void unnest(struct msgs *m, struct nlattr *a)
{
	a->nla_len = (uint16_t)(m->data + m->len - (uint8_t *)a);
}

static int read_ack(int fd)
{
	uint8_t in[4096] __attribute__((aligned(4)));
	struct nlmsghdr *h = (void *)in;
	const struct nlmsgerr *e = NLMSG_DATA(h);
	ssize_t n = recv(fd, in, sizeof(in), 0);

	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_HDRLEN + sizeof(*e) ||
		h->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return e->error;
}

/* Sends the messages; the one that asked for it is answered. */
static int talk(int protocol, const struct msgs *m)
{
	_cleanup_close_ int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};

	if (fd < 0)
		return -errno;
	if (sendto(fd, m->data, m->len, 0, (struct sockaddr *)&sa, sizeof(sa)) <
		0)
		return -errno;
	return read_ack(fd);
}

/* The interface is there as long as its descriptor is open. */
static int open_tun(int *ret)
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	_cleanup_close_ int fd =
		open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	memcpy(ifr.ifr_name, NET_IFNAME, sizeof(NET_IFNAME));
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

static int link_up(uint32_t index)
{
	struct ifinfomsg info = {.ifi_index = (int)index,
		.ifi_flags = IFF_UP,
		.ifi_change = IFF_UP};
	const uint32_t mtu = NET_MTU;
	struct msgs m = {.len = 0};
	struct nlmsghdr *h;

	h = begin(&m, RTM_NEWLINK, NLM_F_ACK, &info, sizeof(info));
	attr(&m, IFLA_MTU, &mtu, sizeof(mtu));
	end(&m, h);
	return talk(NETLINK_ROUTE, &m);
}

static int add_address(
	uint8_t family, const char *text, uint8_t bits, uint32_t index)
{
	struct ifaddrmsg info = {.ifa_family = family,
		.ifa_prefixlen = bits,
		.ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = index};
	size_t len = family == AF_INET ? 4 : 16;
	struct msgs m = {.len = 0};
	struct nlmsghdr *h;
	uint8_t addr[16];

	if (inet_pton(family, text, addr) != 1)
		return -EINVAL;
	h = begin(&m, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
		&info, sizeof(info));
	attr(&m, IFA_LOCAL, addr, len);
	attr(&m, IFA_ADDRESS, addr, len);
	end(&m, h);
	return talk(NETLINK_ROUTE, &m);
}

static int add_default(uint8_t family, uint32_t index)
{
	struct rtmsg info = {.rtm_family = family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope =
			family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST};
	struct msgs m = {.len = 0};
	struct nlmsghdr *h;

	h = begin(&m, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
		&info, sizeof(info));
	attr(&m, RTA_OIF, &index, sizeof(index));
	end(&m, h);
	return talk(NETLINK_ROUTE, &m);
}

/* ---- nftables ---- */

static struct nlmsghdr *nft_begin(struct msgs *m, uint16_t type, uint16_t flags)
{
	const struct nfgenmsg g = {
		.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};

	return begin(m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &g,
		sizeof(g));
}

static void nft_batch(struct msgs *m, uint16_t type)
{
	const struct nfgenmsg g = {.nfgen_family = AF_UNSPEC,
		.version = NFNETLINK_V0,
		.res_id = htons(NFNL_SUBSYS_NFTABLES)};

	end(m, begin(m, type, 0, &g, sizeof(g)));
}

static void nft_chain(struct msgs *m, const char *name, uint32_t hook)
{
	struct nlmsghdr *h = nft_begin(m, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	struct nlattr *a;

	attr_str(m, NFTA_CHAIN_TABLE, TABLE);
	attr_str(m, NFTA_CHAIN_NAME, name);
	a = nest(m, NFTA_CHAIN_HOOK);
	attr_be32(m, NFTA_HOOK_HOOKNUM, hook);
	attr_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)NAT_PRIORITY);
	unnest(m, a);
	attr_str(m, NFTA_CHAIN_TYPE, "nat");
	end(m, h);
}

struct expr {
	struct nlattr *elem;
	struct nlattr *data;
};

static struct expr expr_begin(struct msgs *m, const char *name)
{
	struct expr e = {.elem = nest(m, NFTA_LIST_ELEM)};

	attr_str(m, NFTA_EXPR_NAME, name);
	e.data = nest(m, NFTA_EXPR_DATA);
	return e;
}

static void expr_end(struct msgs *m, const struct expr *e)
{
	unnest(m, e->data);
	unnest(m, e->elem);
}

static void expr_meta(struct msgs *m, uint32_t key)
{
	struct expr e = expr_begin(m, "meta");

	attr_be32(m, NFTA_META_DREG, NFT_REG_1);
	attr_be32(m, NFTA_META_KEY, key);
	expr_end(m, &e);
}

/* The interface that the packet would be routed to. */
static void expr_fib_oif(struct msgs *m)
{
	struct expr e = expr_begin(m, "fib");

	attr_be32(m, NFTA_FIB_DREG, NFT_REG_1);
	attr_be32(m, NFTA_FIB_RESULT, FIB_RESULT_OIF);
	attr_be32(m, NFTA_FIB_FLAGS, FIB_DADDR);
	expr_end(m, &e);
}

static void put_value(struct msgs *m, uint16_t type, const void *p, size_t len)
{
	struct nlattr *a = nest(m, type);

	attr(m, NFTA_DATA_VALUE, p, len);
	unnest(m, a);
}

static void expr_equal(struct msgs *m, const void *p, size_t len)
{
	struct expr e = expr_begin(m, "cmp");

	attr_be32(m, NFTA_CMP_SREG, NFT_REG_1);
	attr_be32(m, NFTA_CMP_OP, NFT_CMP_EQ);
	put_value(m, NFTA_CMP_DATA, p, len);
	expr_end(m, &e);
}

static void expr_redirect(struct msgs *m, uint16_t port)
{
	struct expr e = expr_begin(m, "immediate");

	port = htons(port);
	attr_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	put_value(m, NFTA_IMMEDIATE_DATA, &port, sizeof(port));
	expr_end(m, &e);
	e = expr_begin(m, "redir");
	attr_be32(m, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
	expr_end(m, &e);
}

/* TCP that leaves by eth0: what stays inside the guest is left alone. */
static void nft_rule(
	struct msgs *m, const char *chain, bool local, uint32_t index)
{
	struct nlmsghdr *h =
		nft_begin(m, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	const uint8_t tcp = IPPROTO_TCP;
	struct nlattr *list;

	attr_str(m, NFTA_RULE_TABLE, TABLE);
	attr_str(m, NFTA_RULE_CHAIN, chain);
	list = nest(m, NFTA_RULE_EXPRESSIONS);
	expr_meta(m, NFT_META_L4PROTO);
	expr_equal(m, &tcp, sizeof(tcp));
	if (local)
		expr_meta(m, NFT_META_OIF);
	else
		expr_fib_oif(m);
	expr_equal(m, &index, sizeof(index));
	expr_redirect(m, NET_PORT);
	unnest(m, list);
	end(m, h);
}

static int redirect(uint32_t index)
{
	struct msgs m = {.len = 0};
	struct nlmsghdr *h;

	nft_batch(&m, NFNL_MSG_BATCH_BEGIN);
	h = nft_begin(&m, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	attr_str(&m, NFTA_TABLE_NAME, TABLE);
	end(&m, h);
	nft_chain(&m, "output", NF_INET_LOCAL_OUT);
	nft_chain(&m, "prerouting", NF_INET_PRE_ROUTING);
	nft_rule(&m, "output", true, index);
	nft_rule(&m, "prerouting", false, index);
	/* Whatever fails is answered; success only where it is asked for. */
	h = nft_begin(&m, NFT_MSG_NEWTABLE, NLM_F_ACK);
	attr_str(&m, NFTA_TABLE_NAME, TABLE);
	end(&m, h);
	nft_batch(&m, NFNL_MSG_BATCH_END);
	return talk(NETLINK_NETFILTER, &m);
}

static int make_interface(uint32_t index, struct err *err)
{
	int r = link_up(index);

	if (r < 0)
		return err_sys(err, -r, "bring up " NET_IFNAME);
	r = add_address(AF_INET, NET_V4, NET_V4_BITS, index);
	r = r ? r : add_default(AF_INET, index);
	if (r < 0)
		return err_sys(err, -r, "IPv4");
	r = add_address(AF_INET6, NET_V6, NET_V6_BITS, index);
	r = r ? r : add_default(AF_INET6, index);
	return r < 0 ? err_sys(err, -r, "IPv6") : 0;
}

int net_redirect(struct err *err)
{
	int r = redirect(if_nametoindex(NET_IFNAME));

	return r < 0 ? err_sys(err, -r, "redirect") : 0;
}

int net_setup(int *ret_tun, struct err *err)
{
	_cleanup_close_ int tun = -1;
	int r = open_tun(&tun);

	if (r < 0)
		return err_sys(err, -r, "make " NET_IFNAME);
	r = make_interface(if_nametoindex(NET_IFNAME), err);
	if (r == 0)
		*ret_tun = TAKE_FD(tun);
	return r;
}

int net_resolv_conf(const char *root, struct err *err)
{
	static const char text[] = "# made by cove\nnameserver " NET_V4 "\n";
	_cleanup_free_ char *dir = xasprintf("%s/etc", root);
	_cleanup_close_ int etc = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd, r;

	if (etc < 0)
		return err_sys(err, errno, "%s", dir);
	(void)unlinkat(etc, ".resolv.cove", 0);
	fd = openat(etc, ".resolv.cove",
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, errno, "resolv.conf");
	r = fd_write_all(fd, text, strlen(text));
	(void)fchmod(fd, 0644);
	close(fd);
	/* Also in the place of a link to a resolver that does not run here. */
	if (r == 0 && renameat(etc, ".resolv.cove", etc, "resolv.conf") < 0)
		r = -errno;
	return r < 0 ? err_sys(err, -r, "resolv.conf") : 0;
}
