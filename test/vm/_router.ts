// The net of a test machine that has no network card: eth0 is one end of a veth pair, the other lies in a namespace
// with a DHCP server whose leases last 60 s. Made anew by each boot before any network manager runs.
import { until } from "../sandbox/harness.ts";
import type { Machine, MachineFile } from "./harness.ts";

export const ROUTER = "10.77.0.1";
export const DEVICE_MAC = "52:54:00:00:00:10";
const LOG = "/var/lib/router/log";

/** busybox's server: the shortest lease of the other common one is 120 s. */
const SCRIPT = `#!/bin/sh
ip netns add router
ip link add eth0 address ${DEVICE_MAC} type veth peer name lan netns router
ip -n router link set lo up
ip -n router addr add ${ROUTER}/24 dev lan
ip -n router link set lan up
cat >/run/udhcpd.conf <<END
start 10.77.0.100
end 10.77.0.200
interface lan
min_lease 60
max_leases 50
lease_file /var/lib/router/leases
auto_time 1
option subnet 255.255.255.0
option router ${ROUTER}
option lease 60
END
mkdir -p /var/lib/router
touch /var/lib/router/leases
exec ip netns exec router busybox udhcpd -f /run/udhcpd.conf >>${LOG} 2>&1
`;
const UNIT = `[Unit]
DefaultDependencies=no
After=systemd-sysctl.service local-fs.target
Before=network-pre.target networking.service systemd-networkd.service
Wants=network-pre.target

[Service]
ExecStart=/usr/local/sbin/router

[Install]
WantedBy=sysinit.target
`;

/** A line out and the same line back, for ever; how far it came stands in a file. Ends when the connection does. */
const TALK = `#!/bin/bash
exec 3<>/dev/tcp/$1/9999 || exit 1
n=0
while n=$((n + 1)); do
  echo "$n" >&3 && read -r -t 60 -u 3 answer && [ "$answer" = "$n" ] || break
  echo "$n" >/run/talk
done
echo "ended at $n" >/run/talk
`;

/** Files of a machine with that net. */
export const ROUTER_FILES: Readonly<Record<string, MachineFile>> = {
  "/usr/local/sbin/router": SCRIPT,
  "/usr/local/sbin/talk": TALK,
  "/etc/systemd/system/router.service": UNIT,
};

/** Starts the net, now and at each boot. */
export async function startRouter(machine: Machine): Promise<void> {
  await machine.sh(`chmod 755 /usr/local/sbin/router /usr/local/sbin/talk
    systemctl daemon-reload; systemctl enable --quiet --now router.service`);
}

/** The machine's IPv4 addresses on a link, with prefix length, without the control network's. */
export async function addressesOn(machine: Machine, link: string): Promise<readonly string[]> {
  const said = await machine.sh(`ip -o -4 addr show dev ${link} scope global | awk '{print $4}'`);
  return said.split("\n").filter((line) => line !== "" && !line.startsWith("172."));
}

/** Opens a connection from the router to the machine that talks until it is cut. */
export async function talk(machine: Machine, address: string): Promise<void> {
  await machine.sh(`rm -f /run/talk
    setsid sh -c 'while :; do busybox nc -l -p 9999 -e cat; done' >/dev/null 2>&1 </dev/null &
    for try in $(seq 100); do ss -Hltn | grep -q :9999 && break; sleep 0.1; done
    setsid ip netns exec router talk ${address} >/dev/null 2>&1 </dev/null &`);
  await stillTalks(machine, "a connection from the router");
}

/** Waits until the connection has brought something new. It must not have ended. */
export async function stillTalks(machine: Machine, what: string): Promise<void> {
  const said = async () => (await machine.sh("cat /run/talk 2>/dev/null || echo 0")).trim();
  const before = await said();
  await until(what, async (seen) => {
    const now = await said();
    seen(`${before}, then ${now}`);
    if (now.startsWith("ended")) throw new Error(`The connection has ${now}`);
    return Number(now) > Number(before);
  }, { deadlineMs: 120_000, everyMs: 500 });
}

/** Leases given or renewed so far. */
export async function leases(machine: Machine): Promise<number> {
  return (await machine.sh(`cat ${LOG}`)).split("sending ACK").length - 1;
}

/**
 * Waits until a lease of now would have run out, and the client has renewed it.
 * The machine's clock counts, which is slower than ours.
 */
export async function outliveLease(machine: Machine): Promise<void> {
  const uptime = async () => Number((await machine.sh("cut -d. -f1 /proc/uptime")).trim());
  const [began, had] = [await uptime(), await leases(machine)];
  await until("two renewals in more than 60 s", async (seen) => {
    const [now, have] = [await uptime(), await leases(machine)];
    seen(`${have - had} renewals in ${now - began} s`);
    return now - began > 65 && have - had >= 2;
  }, { deadlineMs: 300_000, everyMs: 2000 });
}
