/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmdline - what every engine tells the guest's kernel (Linux,
 * admin-guide/kernel-parameters).
 *
 * The wall is around the guest: what defends its kernel from its own processes
 * at a price is off, AppArmor (2 % of each boot, more of each dockerd start) and
 * zeroing of all memory. Landlock stays, because programs use it themselves.
 *
 * swiotlb=noforce: beyond 3 GiB the kernel would set aside and zero 64 MiB for
 * devices that reach less; ours reach everything.
 */
#ifndef DAEMON_CMDLINE_H
#define DAEMON_CMDLINE_H

/*
 * A fifth of a boot. The first line's offer functions to BPF programs, and the
 * first of them to run reads the type information of the whole kernel; without
 * them that is read when a program is loaded. TCP's default is then reno, which
 * over a loopback is no worse than cubic. The others test what needs no test
 * (crypto_kdf108, blake2s), load certificates for modules, make files of events
 * and of each slab cache (below /sys/kernel/slab), and measure files.
 */
#define CMDLINE_INITCALLS                                                   \
	"initcall_blacklist="                                               \
	"cubictcp_register,bpf_rstat_kfunc_init,bpf_key_sig_kfuncs_init,"   \
	"kfunc_init,bpf_prog_test_run_init,bpf_tcp_ca_kfunc_init,"          \
	"crypto_kdf108_init,blake2s_mod_init,load_system_certificate_list," \
	"init_kprobe_trace,init_trace_printk_function_export,"              \
	"slab_sysfs_init,init_ima"

#define CMDLINE_COMMON                                                        \
	"console=ttyS0 quiet panic=-1 cryptomgr.notests random.trust_cpu=on " \
	"8250.nr_uarts=1 lsm=landlock init_on_alloc=0 nowatchdog "            \
	"swiotlb=noforce " CMDLINE_INITCALLS

#endif
