#!/bin/sh
# Runs the suite where no disk is: called in fresh mount, network and process namespaces, it leaves of /dev, /run, /tmp and /sys what the
# agent needs, gives up root, and goes on in a user namespace. All of it is gone with its last process.
#
# Arguments: the user's number outside, the folder with the suites, the virtual environment, the billet binary.
set -eu
user=$1
tests=$2
venv=$3
billet=$4

ip link set lo up
# The agent looks at network cards only, which have a device behind them, and at VLANs, which it knows by their names.
ip link add machine.1 address 52:54:00:00:71:09 type veth peer name switch.1 address 52:54:00:00:71:0a
ip link set machine.1 up
ip link set switch.1 up

# Sources are bound before what hides them.
mount -t tmpfs -o mode=0755 enclosure /mnt
mkdir /mnt/bin /mnt/tests /mnt/venv /mnt/dev /mnt/state
mount --bind "$tests" /mnt/tests
mount --bind "$venv" /mnt/venv
touch /mnt/billet
mount --bind "$billet" /mnt/billet

# This network's own /sys, without disks; their names stay, so that it can be tried to open them.
mount -t sysfs sysfs /sys
for disk in /sys/block/*; do
    [ -e "$disk/dev" ] && echo "${disk##*/} $(cat "$disk/dev")"
    for part in "$disk/${disk##*/}"*; do
        [ -e "$part/dev" ] && echo "${part##*/} $(cat "$part/dev")"
    done
done >/mnt/disks || true
for place in /sys/block /sys/class/block /sys/dev/block; do
    [ ! -d "$place" ] || mount -t tmpfs -o ro none "$place"
done

# The agent's programs: those that look, none that writes.
for program in ip lscpu lsblk readlink; do
    ln -s "$(command -v "$program")" /mnt/bin/
done
ln -s /mnt/tests/agent/programs/* /mnt/bin/

for device in null zero random urandom; do
    touch "/mnt/dev/$device"
    mount --bind "/dev/$device" "/mnt/dev/$device"
done
mount --rbind /mnt/dev /dev
mount -t tmpfs none /run
mount -t tmpfs none /tmp
chmod 0777 /run /mnt/state

cd /mnt
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt/state BILLET=/mnt/billet PYTHONDONTWRITEBYTECODE=1
# Its parent is outside: it ends with that.
set -- unshare --user --map-root-user --ipc --uts setpriv --pdeathsig KILL venv/bin/python -m tests.agent.inside
if [ "$user" -eq 0 ]; then
    set -- setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "$@"
fi
exec "$@"
