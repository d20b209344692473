#!/usr/bin/perl
# Tries what a tenant's code would try to get out of its sandbox, or to look out of it. Each line of what it
# prints is the name of an attempt, a tab, and the error that refused it; empty: it succeeded. Harmless where it
# succeeds. What there is to find outside is said by the environment.
use strict;
use warnings;
use Errno;
use Fcntl qw(O_CREAT O_RDONLY O_RDWR O_WRONLY S_IFCHR);
use POSIX ();
use Socket qw(AF_INET AF_UNIX SOCK_DGRAM SOCK_RAW SOCK_STREAM inet_aton pack_sockaddr_in pack_sockaddr_un);

my %number = map { split /=/ } split / /, $ENV{CALLS};
my ($outside, $word) = @ENV{qw(OUTSIDE WORD)};
my $here = $ENV{TMPDIR} // "/tmp";

sub reason { (grep { exists $!{$_} && $!{$_} } keys %!)[0] // "$!" }

# Of a system call. Where it was given nonsense, the complaint about that comes after all questions of rights.
sub call {
    my ($name, $complaint, @args) = @_;
    my $answer = syscall($number{$name}, @args);
    return "" if $answer != -1 || ($complaint && reason() =~ /^(?:$complaint)$/);
    return reason();
}

sub opens {
    my ($flags, @paths) = @_;
    my $last = "ENOENT";
    for my $path (@paths) {
        return "" if sysopen(my $file, $path, $flags);
        $last = reason() unless $!{ENOENT};
    }
    return $last;
}

sub makes {
    my (@paths) = @_;
    my $result = opens(O_WRONLY | O_CREAT, @paths);
    unlink @paths;
    return $result;
}

sub reads {
    my ($path) = @_;
    sysopen(my $file, $path, O_RDONLY) or return reason();
    defined sysread($file, my $text, 4096) or return reason();
    return $text eq "" ? "empty" : "";
}

sub connects {
    my ($family, $address) = @_;
    socket(my $socket, $family, SOCK_STREAM, 0) or return reason();
    return connect($socket, $address) ? "" : reason();
}

sub socket_of {
    my ($family, $type, $protocol) = @_;
    return socket(my $socket, $family, $type, $protocol) ? "" : reason();
}

# A child that waits, for what looks into other processes.
sub with_child {
    my ($act) = @_;
    my $child = fork() // return "fork";
    if ($child == 0) { sleep 5; POSIX::_exit(0) }
    my $result = $act->($child);
    kill "KILL", $child;
    waitpid $child, 0;
    return $result;
}

# A call that goes on in a child of its own when it succeeds.
sub splits {
    my ($name, @args) = @_;
    my $answer = syscall($number{$name}, @args);
    POSIX::_exit(0) if $answer == 0;
    return $answer == -1 ? reason() : "";
}

sub status { my ($name) = @_; return (`cat /proc/self/status` =~ /^$name:\s*(\S+)$/m)[0] // "" }

my $newuser = 0x10000000;
my $memory  = "\0" x 4096;

my %attempts = (
    "read another's environment" => sub {
        for my $path (glob "/proc/[0-9]*/environ") {
            open(my $file, "<", $path) or next;
            local $/;
            return "" if (<$file> // "") =~ /OUTSIDE_WORD=\Q$word\E/;
        }
        return "unseen";
    },
    "see another's command line" => sub {
        for my $path (glob "/proc/[0-9]*/cmdline") {
            open(my $file, "<", $path) or next;
            return "" if (<$file> // "") =~ /outside-\Q$word\E/;
        }
        return "unseen";
    },
    "signal another" => sub { kill(0, $outside) ? "" : reason() },
    "trace another" => sub { call("ptrace", undef, 16, $outside + 0, 0, 0) },
    "trace a child" => sub { with_child(sub { call("ptrace", undef, 16, $_[0], 0, 0) }) },
    "read a child's memory" => sub {
        my $place = pack("QQ", unpack("Q", pack("p", $memory)), 8);
        with_child(sub { call("process_vm_readv", undef, $_[0], $place, 1, $place, 1, 0) });
    },
    "take a child's file" => sub {
        with_child(sub {
            my $child = syscall($number{pidfd_open}, $_[0], 0);
            return $child == -1 ? reason() : call("pidfd_getfd", undef, $child, 1, 0);
        });
    },
    "compare a child" => sub { with_child(sub { call("kcmp", undef, $$, $_[0], 1, 0, 0) }) },
    "share memory" => sub { shmget($ENV{SEGMENT}, 0, 0) ? "" : reason() },
    "hold a file" => sub {
        opendir(my $folder, "/proc/$$/fd") or return reason();
        my @open = grep { /^\d+$/ && $_ > 2 } readdir $folder;
        my $own = fileno($folder) // -1;
        closedir $folder;
        my @left = grep { -e "/proc/$$/fd/$_" && readlink("/proc/$$/fd/$_") !~ /^pipe:|Escapes\.pl$/ } @open;
        return @left ? "" : "none";
    },

    "see the platform" => sub { -e $ENV{PLATFORM} ? "" : reason() },
    "read the platform" => sub { reads("$ENV{PLATFORM}/owner-key") },
    "call a socket" => sub { connects(AF_UNIX, pack_sockaddr_un($ENV{SOCKET})) },
    "call a nameless socket" => sub { connects(AF_UNIX, pack_sockaddr_un("\0$ENV{ABSTRACT}")) },
    "call loopback" => sub { connects(AF_INET, pack_sockaddr_in($ENV{LOOPBACK}, inet_aton("127.0.0.1"))) },
    "find a well-known socket" => sub {
        my @known = qw(/run/docker.sock /run/containerd/containerd.sock /run/dbus/system_bus_socket
            /run/systemd/private /run/user /tmp/.X11-unix /var/run/docker.sock);
        return (grep { -e } @known, $ENV{SOCKET}) ? "" : "ENOENT";
    },

    "open a disk" => sub { opens(O_RDONLY, split / /, $ENV{DEVICES}) },
    "open memory" => sub { opens(O_RDONLY, qw(/dev/mem /dev/kmsg /dev/port)) },
    "open a machine device" => sub { opens(O_RDWR, qw(/dev/kvm /dev/fuse /dev/net/tun /dev/loop-control /dev/cpu_dma_latency)) },
    "make a device" => sub {
        my $path = "$here/device-$$";
        my $result = call("mknodat", undef, -100, $path, S_IFCHR | 0600, 0x101);
        unlink $path;
        return $result;
    },
    "type into a terminal" => sub {
        sysopen(my $master, "/dev/ptmx", O_RDWR) or return reason();
        ioctl($master, 0x40045431, my $unlock = pack("i", 0)) or return reason();
        ioctl($master, 0x80045430, my $index = pack("i", 0)) or return reason();
        POSIX::setsid();
        $SIG{HUP} = "IGNORE";
        sysopen(my $terminal, "/dev/pts/" . unpack("i", $index), O_RDWR) or return reason();
        return ioctl($terminal, 0x5412, my $letter = "x") ? "" : reason();
    },

    "mount" => sub { call("mount", undef, "none", $here, "tmpfs", 0, 0) },
    "mount anew" => sub { call("fsopen", undef, "tmpfs", 0) },
    "mount a control group" => sub { call("mount", "EBUSY", "none", $here, "cgroup2", 0, 0) },
    "uncover" => sub { call("umount2", "EINVAL", "/proc/keys", 2) },
    "make the root writable" => sub { call("mount", undef, 0, "/", 0, 32 | 4096, 0) },
    "change root" => sub { call("chroot", undef, $here) },
    "pivot" => sub { call("pivot_root", "EINVAL|EBUSY", $here, $here) },
    "open by handle" => sub {
        my $folder = "$0" =~ s{/[^/]*$}{}r;
        sysopen(my $file, $folder, O_RDONLY) or return reason();
        my $handle = pack("Ii", 128, 0) . "\0" x 128;
        my $mount = pack("i", 0);
        return "handle " . reason() if syscall($number{name_to_handle_at}, -100, $0, $handle, $mount, 0) == -1;
        return call("open_by_handle_at", undef, fileno($file), $handle, O_RDONLY);
    },
    "write to the system" => sub { makes("/usr/escape-$$", "/etc/escape-$$", "/escape-$$") },
    "write to devices" => sub { makes("/dev/escape-$$") },
    "write to the kernel" => sub { opens(O_WRONLY, glob("/proc/sys/kernel/{core_pattern,hostname,modprobe,domainname}"), "/proc/sysrq-trigger") },
    "write to a process" => sub { opens(O_WRONLY, "/proc/self/oom_score_adj") },
    "write to sys" => sub { opens(O_WRONLY, glob("/sys/kernel/{uevent_helper,mm/ksm/run,profiling}"), glob("/sys/class/net/lo/tx_queue_len"), glob("/sys/block/*/queue/nr_requests")) },
    "leave a control group" => sub { opens(O_WRONLY, glob("/sys/fs/cgroup/{release_agent,cgroup.procs} /sys/fs/cgroup/*/{release_agent,cgroup.procs}")) },

    "unshare a user" => sub { call("unshare", undef, $newuser) },
    "clone a user" => sub { splits("clone", $newuser | 17, 0, 0, 0, 0) },
    "clone3 a user" => sub { splits("clone3", pack("Q*", $newuser, 0, 0, 0, 17, 0, 0, 0), 64) },
    "unshare a network" => sub { call("unshare", undef, 0x40000000) },
    "unshare mounts" => sub { call("unshare", undef, 0x00020000) },
    "unshare a clock" => sub { call("unshare", undef, 0x80) },
    "enter a namespace" => sub {
        my $result = opens(O_RDONLY, "/proc/self/ns/uts");
        return $result if $result ne "";
        sysopen(my $file, "/proc/self/ns/uts", O_RDONLY) or return reason();
        return call("setns", undef, fileno($file), 0);
    },
    "rename the machine" => sub { my $name = (POSIX::uname())[1]; call("sethostname", undef, $name, length $name) },

    "bpf" => sub { call("bpf", undef, 0, pack("IIIII", 2, 4, 4, 1, 0) . "\0" x 100, 72) },
    "io_uring" => sub { call("io_uring_setup", undef, 1, my $parameters = "\0" x 120) },
    "keyring" => sub { call("keyctl", "ENOKEY", 0, -2, 1) },
    "add a key" => sub { call("add_key", undef, "user", "escape-$$", "x", 1, -2) },
    "ask for a key" => sub { call("request_key", "ENOKEY", "user", "escape-none-$$", 0, 0) },
    "kexec" => sub { call("kexec_load", "EINVAL", 0, 0, 0, 0xffff) },
    "load a module" => sub { call("init_module", "ENOEXEC", $memory, 1, "") },
    "load a module file" => sub {
        sysopen(my $file, $0, O_RDONLY) or return reason();
        return call("finit_module", "ENOEXEC", fileno($file), "", 0);
    },
    "unload a module" => sub { call("delete_module", "ENOENT", "escape-none", 2048) },
    "read the kernel's log" => sub { call("syslog", undef, 3, my $log = "\0" x 512, 512) },
    "set the clock" => sub { call("clock_settime", "EINVAL", 0, pack("qq", -1, 0)) },
    "reboot" => sub { call("reboot", "EINVAL", 0, 0, 0, 0) },
    "swap" => sub { call("swapon", "ENOENT", "/escape-none", 0) },
    "account" => sub { call("acct", "ENOENT", "/escape-none") },
    "watch performance" => sub { call("perf_event_open", undef, pack("IIQ", 1, 128, 0) . "\0" x 24 . pack("Q", 0x61) . "\0" x 80, 0, -1, -1, 0) },
    "handle page faults" => sub { call("userfaultfd", undef, 1) },
    "fix addresses" => sub { call("personality", undef, 0x40000) },
    "watch all files" => sub { call("fanotify_init", undef, 0, 0) },
    "place memory" => sub { call("set_mempolicy", undef, 0, 0, 0) },

    "send raw packets" => sub { socket_of(AF_INET, SOCK_RAW, 1) },
    "see all packets" => sub { socket_of(17, SOCK_RAW, 0x300) },
    "change the firewall" => sub { socket_of(16, SOCK_RAW, 12) },
    "hear of devices" => sub { socket_of(16, SOCK_DGRAM, 15) },
    "call the hypervisor" => sub { socket_of(40, SOCK_STREAM, 0) },
    "use the kernel's ciphers" => sub { socket_of(38, 5, 0) },

    "hold a capability" => sub { (grep { status($_) =~ /[^0]/ } qw(CapInh CapPrm CapEff CapBnd CapAmb)) ? "" : "none" },
    "gain privileges" => sub { status("NoNewPrivs") eq "1" ? "never" : "" },
    "run as root" => sub {
        open(my $told, "-|", $ENV{SETUID_ID}, "-u") or return reason();
        chomp(my $user = <$told> // "nobody");
        return $user eq "0" ? "" : "as $user";
    },
    (map { my $path = $_; ("read $path" => sub { reads($path) }) } split / /, $ENV{MASKED}),
);

for my $name (sort keys %attempts) {
    pipe(my $read, my $write) or die;
    my $child = fork() // die;
    if ($child == 0) {
        close $read;
        alarm 10;
        # Where that is granted: what one attempt mounts is not there for the next.
        syscall($number{unshare}, 0x00020000);
        my $result = eval { $attempts{$name}->() } // "died: $@" =~ s/\s+/ /gr;
        syswrite $write, $result;
        POSIX::_exit(0);
    }
    close $write;
    my $result = do { local $/; <$read> } // "";
    waitpid $child, 0;
    $result = "signal " . ($? & 127) if $? & 127;
    print "$name\t$result\n";
}

