#!/bin/bash
# Makes the root file system of a test machine and the disk it boots from. Runs in a throw-away vhost with the
# machine's network, mmdebstrap and e2fsprogs. Owns /mnt/out and what the machine consists of.
# Environment: SUITE, INIT (systemd|sysvinit), MIRROR, PACKAGES (comma-separated), GUEST (directory of this script).
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
root=/var/tmp/root
conf=/var/tmp/conf

# The kernel's package makes an initial RAM disk of its own, which nobody boots: the least of it.
mkdir -p "$conf/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\nRESUME=none\n' >"$conf/etc/initramfs-tools/conf.d/vm"

mmdebstrap --mode=root --variant=minbase --include="$PACKAGES" $CHECK \
  --dpkgopt=path-exclude='/usr/share/man/*' --dpkgopt=path-exclude='/usr/share/locale/*' \
  --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=force-confold \
  --setup-hook="cp -a $conf/. \"\$1\"" \
  "$SUITE" "$root" "$MIRROR"

install -m 755 "$GUEST/agent.sh" "$root/usr/local/sbin/vm-agent"
echo vhost >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 vhost\n' >"$root/etc/hosts"
printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
rm -f "$root/etc/resolv.conf" "$root"/var/cache/apt/archives/*.deb
: >"$root/etc/resolv.conf"
chroot "$root" passwd -d root >/dev/null

if [ "$INIT" = systemd ]; then
  : >"$root/etc/machine-id" # made anew by the first boot
  units=$root/etc/systemd/system
  # From early on, so that a test sees what a boot comes to while it lasts.
  cat >"$units/vm-agent.service" <<'END'
[Unit]
Description=Agent of the test
DefaultDependencies=no
After=local-fs.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/usr/local/sbin/vm-agent
Restart=always
KillMode=process

[Install]
WantedBy=sysinit.target
END
  cat >"$units/vm-booted.service" <<'END'
[Unit]
Description=Word to the test that the machine has booted
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/usr/bin/touch /run/vm-booted

[Install]
WantedBy=multi-user.target
END
  # What the machine says of itself is asked for while it runs: no flushes to its disk.
  mkdir -p "$root/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/vm.conf"
  mkdir -p "$units/serial-getty@ttyS0.service.d"
  printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - $TERM\n' \
    >"$units/serial-getty@ttyS0.service.d/autologin.conf"
  for unit in vm-agent vm-booted; do chroot "$root" systemctl enable "$unit.service" 2>/dev/null; done
  # What a vhost does not need costs seconds where every process is emulated.
  for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    e2scrub_reap.service systemd-pstore.service getty@tty1.service systemd-logind.service \
    systemd-user-sessions.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
    modprobe@drm.service modprobe@fuse.service modprobe@configfs.service systemd-journal-flush.service \
    systemd-random-seed.service systemd-tmpfiles-clean.timer; do
    chroot "$root" systemctl mask "$unit" 2>/dev/null
  done
else
  printf 'S0:2345:respawn:/sbin/agetty --autologin root --keep-baud 115200 ttyS0 vt100\n' >>"$root/etc/inittab"
  sed -i 's/^[1-6]:.*getty.*tty[1-6]$/#&/' "$root/etc/inittab"
  # Before rc, so that a test sees what a boot comes to while it lasts.
  sed -i '0,/^l0:/s//VA:2345:respawn:\/usr\/local\/sbin\/vm-agent\n&/' "$root/etc/inittab"
  printf 'VB:2345:once:/usr/bin/touch /run/vm-booted\n' >>"$root/etc/inittab"
fi

cp "$(ls "$root"/boot/vmlinuz-* | tail -n 1)" /mnt/out/vmlinuz

# What Debian's own would do with udev in eight seconds (emulated), for one known disk.
ram=/var/tmp/ram
mkdir -p "$ram/bin" "$ram/dev" "$ram/proc" "$ram/root" "$ram/modules"
install -m 755 "$GUEST/init.sh" "$ram/init"
cp "$root/bin/busybox" "$ram/bin/busybox"
version=$(basename "$(ls -d "$root"/lib/modules/* | tail -n 1)")
number=10
for name in virtio_pci virtio_blk ext4; do
  chroot "$root" modprobe --set-version "$version" --show-depends "$name"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
  to=$ram/modules/$number-$(basename "${module%.xz}")
  case $module in
    *.xz) xz --decompress --stdout "$root$module" >"$to" ;;
    *) cp "$root$module" "$to" ;;
  esac
  number=$((number + 1))
done
(cd "$ram" && find . | "$root/bin/busybox" cpio -o -H newc) >/mnt/out/initrd 2>/dev/null
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >/mnt/out/packages
# Sparse: as large as berth may want, as small as it is filled.
mke2fs -q -F -t ext4 -L vhost -E lazy_itable_init=0,nodiscard -d "$root" /mnt/out/disk.img 8G
