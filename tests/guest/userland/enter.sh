#!/bin/sh
# Becomes process 1 of a small system on this host: enter.sh ROOT ARCHIVE TERMINAL CHANGES, run by unshare(1) with mounts,
# processes and names of its own. ROOT is an empty folder; TERMINAL becomes its /dev/ttyS0 and /dev/console; CHANGES are
# shell commands that run in the new root before anything starts.
set -e
mount -t tmpfs -o mode=755 root "$1"
cd "$1"
cpio --extract --make-directories --quiet <"$2"
mount -t tmpfs -o mode=755 dev dev
mknod dev/null c 1 3
mknod dev/zero c 1 5
mknod dev/urandom c 1 9
mknod dev/tty c 5 0
chmod 666 dev/*
touch dev/ttyS0 dev/console
mount --bind "$3" dev/ttyS0
mount --bind "$3" dev/console
eval "$4"
exec chroot . /init <dev/console >dev/console 2>&1
