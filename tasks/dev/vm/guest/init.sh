#!/bin/busybox sh
# The initial RAM disk's only program: finds the root disk, puts the files of a test onto it before its first boot, and
# hands over to the init system. The disk with the files is a bare tar archive; /root/vm-image in it is run in the
# image's chroot, as whoever makes an image would.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
# From here on the console is this boot's.
echo "vm: switched on" >/dev/console
for module in /modules/*; do $b insmod "$module"; done
until [ -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 /dev/vda /root
if [ -b /dev/vdb ] && ! [ -e /root/var/lib/vm-files ]; then
  $b tar -x -f /dev/vdb -C /root
  if [ -e /root/root/vm-image ]; then
    $b mount -t proc proc /root/proc
    $b mount --bind /dev /root/dev
    $b env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root $b chroot /root /bin/sh /root/vm-image >/dev/console 2>&1 ||
      echo "vm-image failed" >/dev/console
    $b umount /root/dev
    $b umount /root/proc
  fi
  : >/root/var/lib/vm-files
  $b sync
fi
$b mount --move /dev /root/dev
exec $b switch_root /root /sbin/init
