#!/bin/bash
# Makes the root file system of a test machine and the disk it boots from. Runs in a throw-away vhost with the
# machine's network, mmdebstrap and e2fsprogs. Owns /mnt/out and what the machine consists of.
# Environment: SUITE, INIT (systemd|sysvinit), MIRROR, PACKAGES (comma-separated), GUEST (directory of this script).
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
root=/var/tmp/root
conf=/var/tmp/conf

# Small and quick to unpack: only what mounts the root, whatever machine builds it.
mkdir -p "$conf/etc/initramfs-tools/conf.d" "$conf/etc/initramfs-tools"
printf 'MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\nRESUME=none\n' >"$conf/etc/initramfs-tools/conf.d/vm"
printf 'virtio_pci\nvirtio_blk\next4\n' >"$conf/etc/initramfs-tools/modules"

mmdebstrap --mode=root --variant=minbase --include="$PACKAGES" \
  --dpkgopt=path-exclude='/usr/share/man/*' --dpkgopt=path-exclude='/usr/share/locale/*' \
  --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=force-confold \
  --setup-hook="cp -a $conf/. \"\$1\"" \
  "$SUITE" "$root" "$MIRROR"

install -m 755 "$GUEST/agent.sh" "$root/usr/local/sbin/vm-agent"
install -m 755 "$GUEST/files.sh" "$root/usr/local/sbin/vm-files"
echo vhost >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 vhost\n' >"$root/etc/hosts"
printf '/dev/vda / ext4 defaults 0 1\n' >"$root/etc/fstab"
rm -f "$root/etc/resolv.conf" "$root"/var/cache/apt/archives/*.deb
: >"$root/etc/resolv.conf"
chroot "$root" passwd -d root >/dev/null

if [ "$INIT" = systemd ]; then
  : >"$root/etc/machine-id" # made anew by the first boot
  units=$root/etc/systemd/system
  cat >"$units/vm-files.service" <<'END'
[Unit]
Description=Files of the test
DefaultDependencies=no
After=local-fs.target systemd-udev-trigger.service dev-disk-by\x2did-virtio\x2dfiles.device
Before=sysinit.target
ConditionPathExists=!/var/lib/vm-files

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/vm-files

[Install]
WantedBy=sysinit.target
END
  cat >"$units/vm-agent.service" <<'END'
[Unit]
Description=Agent of the test
After=multi-user.target

[Service]
ExecStart=/usr/local/sbin/vm-agent
Restart=always
KillMode=process

[Install]
WantedBy=multi-user.target
END
  mkdir -p "$units/serial-getty@ttyS0.service.d"
  printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 - $TERM\n' \
    >"$units/serial-getty@ttyS0.service.d/autologin.conf"
  for unit in vm-files vm-agent; do chroot "$root" systemctl enable "$unit.service" 2>/dev/null; done
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
  printf 'VA:2345:respawn:/usr/local/sbin/vm-agent\n' >>"$root/etc/inittab"
  cat >"$root/etc/init.d/vm-files" <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides:          vm-files
# Required-Start:    mountall udev
# Required-Stop:
# Default-Start:     S
# Default-Stop:
# Short-Description: Files of the test
### END INIT INFO
[ "$1" = start ] && udevadm settle && exec /usr/local/sbin/vm-files
exit 0
END
  chmod 755 "$root/etc/init.d/vm-files"
  chroot "$root" update-rc.d vm-files defaults
fi

cp "$(ls "$root"/boot/vmlinuz-* | tail -n 1)" /mnt/out/vmlinuz
cp "$(ls "$root"/boot/initrd.img-* | tail -n 1)" /mnt/out/initrd
chroot "$root" dpkg-query -W -f '${Package} ${Version}\n' >/mnt/out/packages
# Sparse: as large as berth may want, as small as it is filled.
mke2fs -q -F -t ext4 -L vhost -E lazy_itable_init=0,nodiscard -d "$root" /mnt/out/disk.img 8G
