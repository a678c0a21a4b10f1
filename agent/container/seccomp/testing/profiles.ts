/**
 * Default profiles of container engines, as they hand them to a runtime on x86-64 for a container without
 * further capabilities. What they come to is what counts here: the order of names is the alphabet's.
 */

import type { Seccomp, SeccompRule } from "../../../../oci/spec.ts";

/** Calls that both allow whatever their arguments are. */
const ALLOWED = `
  _llseek _newselect accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown chown32
  clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
  eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate
  fanotify_mark fchdir fchmod fchmodat fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr
  flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64
  futex futex_time64 futex_waitv futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64
  getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid
  getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit
  getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr inotify_add_watch
  inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
  io_pgetevents_time64 io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl ioprio_get
  ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
  lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise
  membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2
  mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
  mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep
  newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
  pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6
  pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg
  recvmmsg_time64 recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rseq
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
  sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget
  semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list
  set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
  setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32
  setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr shmat shmctl shmdt shmget
  shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socket socketcall socketpair splice stat
  stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time
  timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
  timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate
  truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork vmsplice
  wait4 waitid waitpid write writev
`;

const ARCHITECTURES = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
const CLONE_NAMESPACES = 0x7e02_0000;
const ENOSYS = 38;
/** Linux or 32-bit Linux, both with and without the old address space layout; or which one it is. */
const PERSONALITIES = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
const AF_VSOCK = 40;

function allow(...names: string[]): SeccompRule {
  return { names, action: "SCMP_ACT_ALLOW" };
}

function base(allowed: readonly string[]): SeccompRule[] {
  return [
    allow(...allowed),
    ...PERSONALITIES.map((value) => ({
      ...allow("personality"),
      args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
    })),
    allow("ptrace"),
    allow("arch_prctl", "modify_ldt"),
    allow("chroot"),
    {
      ...allow("clone"),
      args: [{ index: 0, value: CLONE_NAMESPACES, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
    },
    { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
  ];
}

/** containerd's (`ctr run --seccomp`). */
export const CONTAINERD: Seccomp = {
  defaultAction: "SCMP_ACT_ERRNO",
  architectures: ARCHITECTURES,
  syscalls: base(ALLOWED.trim().split(/\s+/)),
};

/** What Docker's allows on top of it, what it does not, and where it looks at the arguments. */
const DOCKER_MORE =
  "cachestat fchmodat2 futex_requeue futex_wait futex_wake getxattrat listxattrat lsm_get_self_attr " +
  "lsm_list_modules lsm_set_self_attr map_shadow_stack mseal name_to_handle_at pidfd_getfd " +
  "process_vm_readv process_vm_writev removexattrat set_mempolicy_home_node setxattrat statmount listmount";
const DOCKER_LESS = new Set(["io_uring_enter", "io_uring_register", "io_uring_setup", "socket"]);

/** Docker's. */
export const DOCKER: Seccomp = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  architectures: ARCHITECTURES,
  syscalls: [
    ...base([
      ...ALLOWED.trim().split(/\s+/).filter((name) => !DOCKER_LESS.has(name)),
      ...DOCKER_MORE.split(" "),
    ]),
    { ...allow("socket"), args: [{ index: 0, value: AF_VSOCK, op: "SCMP_CMP_NE" }] },
  ],
};
