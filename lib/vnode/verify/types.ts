// What the parts of `berth verify` hand on to each other: tasks for probes and their answers, tests, samples and
// findings. Plain data; owns no behaviour.
import type { Shape } from "../../config/types.ts";

/** Numbered datagrams one way; what arrived is told by the agent that they are sent to. */
export interface SendTask {
  readonly flow: number;
  /** Address of the other agent, an interface after "%" where it is link-local, and its port. */
  readonly to: string;
  readonly port: number;
  /** The own address to send from; absent: the kernel's choice. */
  readonly from?: string;
  /** Payload of UDP. */
  readonly bytes: number;
  readonly count: number;
  readonly everyUs: number;
  /** Between two greetings, which slow links must not be filled with. @default {20000} */
  readonly greetUs?: number;
  /** How long the other agent may stay silent before it counts as not reached. */
  readonly waitMs: number;
}

/** There and back: as `SendTask`, and each datagram is answered. */
export type EchoTask = SendTask;

/** As much as asked for, for some time; by TCP as much as goes through. */
export interface FloodTask {
  readonly flow: number;
  readonly to: string;
  readonly port: number;
  readonly from?: string;
  readonly tcp: boolean;
  /** bit/s of payload, of UDP. */
  readonly bps: number;
  readonly bytes: number;
  readonly ms: number;
  readonly waitMs: number;
}

/** Datagrams at what should not hear them. Nobody is greeted; the other agent tells what it heard. */
export interface FlingTask {
  readonly flow: number;
  readonly to: string;
  readonly port: number;
  readonly count: number;
}

/** What one agent does, in one namespace: it listens all the time, and works off the rest. */
export interface AgentTask {
  /** UDP and TCP, all addresses. */
  readonly port: number;
  /** Flows that others will say goodbye to; floods end by silence. */
  readonly expect: readonly number[];
  readonly echoes: readonly EchoTask[];
  readonly sends: readonly SendTask[];
  readonly floods: readonly FloodTask[];
  readonly flings: readonly FlingTask[];
  /** Ends then at the latest, whatever is missing. */
  readonly untilMs: number;
  /** True for one that listens until then, because it is told nothing. */
  readonly stays?: true;
  /** Stays that long after all is done, for goodbyes that are said again. */
  readonly lingerMs: number;
}

/** What of a flow arrived. */
export interface Received {
  /** Datagrams, each counted once. */
  readonly count: number;
  readonly duplicates: number;
  /** Arrived after one that was sent later. */
  readonly late: number;
  /** Of payload, duplicates included. */
  readonly bytes: number;
  /** Between the first and the last one. */
  readonly ms: number;
  /** Microseconds on the way, in the order of arrival; at most `KEPT_DELAYS`. */
  readonly delaysUs: readonly number[];
}

/** What became of an echo. */
export interface Echoed {
  readonly reached: boolean;
  readonly sent: number;
  /** Microseconds there and back. */
  readonly rttsUs: readonly number[];
}

/** What became of a send or a flood, as far as its sender knows. */
export interface Sent {
  readonly reached: boolean;
  readonly sent: number;
  readonly ms: number;
  /** When the last one left, microseconds since 1970. */
  readonly endUs: number;
}

/** What an agent tells at its end. Keys are flows. */
export interface AgentAnswer {
  readonly received: Readonly<Record<string, Received>>;
  readonly echoed: Readonly<Record<string, Echoed>>;
  readonly sent: Readonly<Record<string, Sent>>;
  /** From when to when it listened, microseconds since 1970. */
  readonly listenedUs: readonly [from: number, to: number];
  /** What kept it from its work: the port is taken. */
  readonly fault?: string;
}

/** One direction of a link on the way of a test. */
export interface Asked {
  /** "left/eth1". */
  readonly link: string;
  readonly way: "egress" | "ingress";
  readonly shape: Shape;
  /** The host's device whose root queue shapes this direction; null for links without a host end. */
  readonly device: string | null;
}

/** A link of a vnode, as a test's end. */
export interface End {
  readonly vnode: string;
  /** Name inside. */
  readonly link: string;
  readonly lan: string;
  /** Without prefix length; link-local ones with "%" and the interface's name. */
  readonly address: string;
  readonly mtu: number;
}

/** A link that cannot be measured in some way, and why. */
export interface Left {
  readonly check: "reach" | "rate";
  /** "left/eth1". */
  readonly from: string;
  readonly why: string;
}

/** Something to be measured. */
export type Test =
  | {
    /** Whether it answers, and how long there and back takes. */
    readonly kind: "echo";
    readonly level: 1 | 2;
    readonly from: End;
    readonly to: End;
    readonly there: readonly Asked[];
    readonly back: readonly Asked[];
    /** Vnodes that forward on the way there and back. */
    readonly hops: number;
  }
  | {
    /** One way: loss, and duplicates and order where they are asked for. */
    readonly kind: "flow";
    readonly level: 3;
    readonly from: End;
    readonly to: End;
    readonly there: readonly Asked[];
    readonly back: readonly Asked[];
  }
  | {
    /** One way: how much goes through. */
    readonly kind: "rate";
    readonly level: 4;
    readonly from: End;
    readonly to: End;
    readonly there: readonly Asked[];
    readonly back: readonly Asked[];
  }
  | {
    /** What must not be heard. */
    readonly kind: "silence";
    readonly level: 5;
    readonly from: End;
    /** Who must not hear it: a vnode, or the host itself. */
    readonly to: End | "host";
    /** Where it is sent. */
    readonly address: string;
    /** Who hears the same, or something else at the same time, to show that the listener and the sender work. */
    readonly control: End | "host";
    /** Where the control is sent; absent: it hears what is sent to `address`. */
    readonly controlAddress?: string;
    readonly why: string;
  };

/** What was measured for one test. Absent: nothing could be. */
export interface Sample {
  readonly echo?: Echoed;
  readonly flow?: {
    readonly sent: Sent;
    readonly received: Received;
    /** Datagrams that arrived, and that the probe was too slow to read. @default {0} */
    readonly unread?: number;
  };
  readonly rate?: RateSample;
  readonly heard?: { readonly count: number; readonly controlled: boolean };
  /** Why there is nothing else. */
  readonly fault?: string;
}

/** A window of a flood. */
export interface RateSample {
  /** bit/s of frames by the counter of the last queue with a rate on the way. */
  readonly rateBps: number;
  readonly seconds: number;
  /** Seconds that the looks at the counters took: the window is not known better than that. */
  readonly blurSeconds: number;
  /** A queue on the way stood all that time. */
  readonly full: boolean;
  /** bit/s of payload that arrived; null where it was not told. */
  readonly goodputBps: number | null;
}

/** What is told of one thing that was looked at. */
export interface Finding {
  readonly check:
    | "state"
    | "reach"
    | "latency"
    | "route"
    | "loss"
    | "rate"
    | "reorder"
    | "duplicate"
    | "isolation";
  /** "left/eth1", or "left". */
  readonly from: string;
  /** "right/eth1"; "" where it is about `from` alone. */
  readonly to: string;
  /** Latency in microseconds, shares in percent, rates in bit/s; words for what is no number. */
  readonly asked: number | string;
  readonly measured: number | null;
  /** What still passes. */
  readonly low?: number;
  readonly high?: number;
  readonly verdict: "pass" | "fail" | "unknown";
  /** Why it is not a pass, or what is beside it. */
  readonly why: string;
}
