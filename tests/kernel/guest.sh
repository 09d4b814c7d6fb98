#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first program of the machine that vm.py boots: loads every object, compares packets, says TAP on the second serial line.
/bin/busybox --install -s /bin 2>/dev/null
export PATH=/sbin:/bin HOME=/
mkdir -p /proc /sys /tmp /run/netns
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
stty -F /dev/ttyS1 -opost 2>/dev/null
exec >/dev/ttyS1 2>&1
ip link set lo up
packets=$(sed 's/.*packets=\([0-9]*\).*/\1/' /proc/cmdline)
n=0
since() { echo $(($(cut -d. -f1 /proc/uptime) - $1)); }
say() {
	n=$((n + 1))
	echo "$1 $n - $2"
}

for m in nf_tables nf_conntrack nf_nat nft_compat; do modprobe $m; done
start=$(since 0)
for o in /o/*.o; do
	name=$(basename $o .o)
	if bpftool prog loadall $o /sys/fs/bpf/o >/tmp/log 2>&1; then
		say ok "$name loads"
	else
		say "not ok" "$name loads"
		tail -n 15 /tmp/log | sed 's/^/# /'
	fi
	rm -rf /sys/fs/bpf/o
done
echo "# loaded in $(since $start) s"
start=$(since 0)
/t/kdiff -b /t/nft2bpf -c /t/nft2bpfctl -o /t/observer.bpf.o -n $packets -a '-O2 --partial always' /r/* >/tmp/kdiff.log 2>&1
while read -r line; do
	case $line in
	"ok "*) say ok "same packets,${line#*-}" ;;
	"not ok "*) say "not ok" "same packets,${line#*-}" ;;
	"1.."*SKIP*) say "not ok" "kdiff: $line" ;;
	*) echo "$line" ;;
	esac
done </tmp/kdiff.log
echo "# compared in $(since $start) s"
echo "1..$n"
sync
poweroff -f
