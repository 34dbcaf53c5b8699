// Names in our nftables tables that more than one part uses: the firewall's rules read these sets, the gate
// and the watch fill them. Loaded by the gate, so it imports nothing.

/** The bridge family's table: the control network's allow-list, and lans kept apart from the host. */
export const CONTROL_TABLE = { family: "bridge", name: "berth" } as const;
/** Set of `iifname . ether saddr . ip saddr`: who may speak on the control network. */
export const CONTROL_ALLOW = "control_ports";
/** Set of `ifname`: ports of registered vnodes, which may be spoken to. */
export const CONTROL_NAMES = "control_names";
