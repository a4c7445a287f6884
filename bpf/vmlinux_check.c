/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compiled twice by make, with the running kernel's types and with vmlinux_fallback.h: both must
 * have the layout that is written down here. Produces nothing. */
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include VMLINUX

#define AT(type, field, offset)                                                                    \
	_Static_assert(__builtin_offsetof(type, field) == (offset), #type "." #field)
#define IS(name, value) _Static_assert((name) == (value), #name)

AT(struct xdp_md, data, 0);
AT(struct xdp_md, data_end, 4);
AT(struct __sk_buff, len, 0);
AT(struct __sk_buff, mark, 8);
AT(struct __sk_buff, protocol, 16);
AT(struct __sk_buff, vlan_present, 20);
AT(struct __sk_buff, vlan_tci, 24);
AT(struct __sk_buff, ifindex, 40);
AT(struct __sk_buff, data, 76);
AT(struct __sk_buff, data_end, 80);
AT(struct __sk_buff, gso_segs, 164);
AT(struct __sk_buff, gso_size, 176);
AT(struct bpf_fib_lookup, tot_len, 6);
AT(struct bpf_fib_lookup, ifindex, 8);
AT(struct bpf_fib_lookup, ipv4_src, 16);
AT(struct bpf_fib_lookup, ipv6_dst, 32);
AT(struct bpf_fib_lookup, smac, 52);
AT(struct bpf_fib_lookup, dmac, 58);
AT(struct bpf_sk_lookup, family, 8);
AT(struct bpf_sk_lookup, protocol, 12);
AT(struct bpf_sk_lookup, remote_ip4, 16);
AT(struct bpf_sk_lookup, remote_ip6, 20);
AT(struct bpf_sk_lookup, remote_port, 36);
AT(struct bpf_sk_lookup, local_ip4, 40);
AT(struct bpf_sk_lookup, local_ip6, 44);
AT(struct bpf_sk_lookup, local_port, 60);
AT(struct bpf_sock, state, 72);
AT(struct bpf_sock_tuple, ipv4.dport, 10);
AT(struct bpf_sock_tuple, ipv6.dport, 34);
IS(sizeof(((struct bpf_sock_tuple *)0)->ipv4), 12);
IS(sizeof(((struct bpf_sock_tuple *)0)->ipv6), 36);
IS(BPF_MAP_TYPE_HASH, 1);
IS(BPF_MAP_TYPE_ARRAY, 2);
IS(BPF_MAP_TYPE_PERCPU_ARRAY, 6);
IS(BPF_MAP_TYPE_LRU_HASH, 9);
IS(BPF_MAP_TYPE_LRU_PERCPU_HASH, 10);
IS(BPF_MAP_TYPE_LPM_TRIE, 11);
IS(BPF_MAP_TYPE_ARRAY_OF_MAPS, 12);
IS(BPF_MAP_TYPE_SOCKMAP, 15);
IS(BPF_ANY, 0);
IS(BPF_NOEXIST, 1);
IS(BPF_F_NO_PREALLOC, 1);
IS(BPF_F_MMAPABLE, 1024);
IS(BPF_FIB_LKUP_RET_SUCCESS, 0);
IS(BPF_F_CURRENT_NETNS, -1);
IS(BPF_HDR_START_MAC, 0);
IS(XDP_DROP, 1);
IS(XDP_PASS, 2);
IS(SK_DROP, 0);
IS(SK_PASS, 1);
