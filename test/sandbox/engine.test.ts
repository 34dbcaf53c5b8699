// deadline: 900s
// What may keep an engine from starting, on each engine: found before it is tried, or undone when it was. And what
// Docker's own rules leave, in both of iptables' worlds. host_engines.test.ts has the story of a preparation.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openSandbox, type Sandbox } from "./harness.ts";
import { ENGINES } from "./vhost.ts";

const FILE = "/etc/docker/daemon.json";
const CONFIG = "/etc/berth/host.yaml";

/** One engine's story, told by tests in order. */
function story(engine: typeof ENGINES[number]): void {
  let box: Sandbox;
  const berth = (...argv: string[]) => box.run(["berth", ...argv], { timeoutMs: 180_000 });
  async function ok(...argv: string[]): Promise<string> {
    const said = await berth(...argv);
    assert.is(said.exit, 0, `berth ${argv.join(" ")}: ${said.stdout}${said.stderr}`);
    return said.stdout;
  }
  const pid = () => box.read("/run/docker.pid");
  /** All rules of all worlds, without counters, in a fixed order. */
  const rules = () =>
    box.sh(`for one in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
      echo "$one"; $one-save 2>/dev/null | sed '/^#/d; s/\\[[0-9:]*\\]//' | sort; done`);

  test(`${engine}: a stopped engine's chains, old iptables' too, go with up and come back with down`, async () => {
    box = await openSandbox({ engine, dockerd: true, image: true, berth: true });
    await box.sh(
      "docker network create --subnet 10.55.0.0/24 theirs; docker run --rm -p 8080:80 box:latest true",
    );
    await box.dockerdStop();
    await box.sh(`iptables-legacy -N DOCKER; iptables-legacy -A FORWARD -o docker0 -j DOCKER
      iptables-legacy -A FORWARD -s 192.0.2.1 -j DROP; iptables-legacy -P FORWARD DROP`);
    const before = await rules();
    assert.match(before, /:FORWARD DROP/);
    await ok("host", "up");
    const up = await rules();
    assert.not.match(up, /DOCKER(?!-USER)/);
    assert.not.match(up, /:FORWARD DROP/);
    assert.match(up, /-A FORWARD -s 192\.0\.2\.1\/32 -j DROP/);
    await ok("host", "down");
    assert.is((await box.run(["pgrep", "-x", "dockerd"])).exit, 1, "the engine is stopped again");
    assert.is(await rules(), before);
    await box.sh("iptables-legacy -F; iptables-legacy -X; iptables-legacy -P FORWARD ACCEPT");
    await box.dockerdStart();
  });

  test(`${engine}: up with Docker's own rules left on, then off: whom that touches is said before`, async () => {
    await box.write(CONFIG, "engine: { iptables: true }\n");
    await ok("host", "up");
    assert.match(await box.sh("iptables-save"), /DOCKER/);
    await box.sh("docker run -d --name web -p 8080:80 box:latest sleep 10000");
    await box.write(CONFIG, "{}\n");
    assert.match(await ok("host", "plan"), /filtering, NAT and published ports end for: web/);
    await ok("host", "up");
    assert.not.match(await box.sh("iptables-save"), /DOCKER-ISOLATION|DOCKER-FORWARD|-j DOCKER$/m);
    assert.match(await box.sh("docker ps"), /web/);
    assert.match(await ok("host", "check"), /As prepared/);
  });

  test(`${engine}: flags and keys that exclude berth's are found before they stop it`, async () => {
    const [file, running] = [await box.read(FILE), await pid()];
    await box.sh(`sed -i 's/"bip": "[^"]*"/"bip": "192.168.253.1\\/24"/' ${FILE}`); // something to do
    await box.write("/etc/default/docker", 'DOCKER_OPTS="--bip 10.1.1.1/24"\n');
    const flag = await berth("host", "daemon-json");
    assert.is(flag.exit, 3, flag.stderr);
    assert.match(flag.stderr, /"--bip".*"bip".*\/etc\/default\/docker/);
    await box.sh("rm /etc/default/docker");
    await box.write(FILE, '{"icc": false, "bridge": "br9"}');
    const keys = await berth("host", "daemon-json");
    assert.is(keys.exit, 3, keys.stderr);
    assert.match(keys.stderr, /icc/);
    assert.match(keys.stderr, /bridge/);
    assert.is(await pid(), running);
    await box.write(FILE, file);
    assert.match(await ok("host", "check"), /As prepared/);
  });

  test(`${engine}: a file of an earlier run that it does not start with gives way to the one that last ran`, async () => {
    const former = await box.read(FILE);
    const tried = JSON.stringify({ ...JSON.parse(former), "storage-driver": "nonesuch" });
    await box.write(CONFIG, "engine: { options: { storage-driver: nonesuch } }\n");
    await box.dockerdStop();
    // As a run leaves it that wrote the file and was cut off, or was to leave the start to the init system.
    await box.write(FILE, tried);
    await box.write("/var/lib/berth/backup/daemon.json.trial", JSON.stringify({ text: tried, former }));
    const said = await berth("host", "daemon-json");
    assert.is(said.exit, 8, said.stderr);
    assert.match(said.stderr, /nonesuch/);
    assert.is(await box.read(FILE), former);
    assert.ok(await box.dockerdAnswers(), "it runs again");
    assert.match(await box.read("/var/lib/berth/backup/daemon.json.trial"), /"failed":true/);
    await box.write(CONFIG, "{}\n");
    assert.match(await ok("host", "check"), /As prepared/);
  });

  // Later engines judge a text before anything is stopped.
  if (engine === "20.10") {
    test(`${engine}: an operator's edit that it does not start with never leaves it down`, async () => {
      const ran = "/var/lib/berth/backup/daemon.json.ran";
      const former = await box.read(FILE);
      const bad = JSON.stringify({
        ...JSON.parse(former),
        "bip": "192.168.253.1/24",
        "log-level": "nonsense",
      });
      await box.write(FILE, bad);
      const said = await berth("host", "daemon-json");
      assert.is(said.exit, 8, said.stderr);
      assert.match(said.stderr, /nonsense/);
      assert.match(said.stderr, /kept as "\/var\/lib\/berth\/backup\/daemon\.json\.1"/);
      assert.ok(await box.dockerdAnswers(), "it runs again");
      assert.is(await box.read(FILE), former);
      assert.is(await box.read("/var/lib/berth/backup/daemon.json.1"), bad);
      // Nothing known to go back to: it is not stopped.
      const running = await pid();
      await box.sh(`mv ${ran} /run/ran`);
      await box.write(FILE, bad);
      const refused = await berth("host", "daemon-json");
      assert.match(refused.stderr, /no text is known to go back to/);
      assert.is(await pid(), running);
      await box.write(FILE, former);
      await box.sh(`mv /run/ran ${ran}`);
      assert.match(await ok("host", "check"), /As prepared/);
    });
  }

  test(`${engine}: former files are kept, three of them`, async () => {
    for (const label of ["a", "b", "c", "d"]) {
      await box.write(CONFIG, `engine: { options: { labels: ["${label}=1"] } }\n`);
      await ok("host", "daemon-json");
    }
    const kept = await box.sh(
      "cd /var/lib/berth/backup; ls; grep -ho '.=1' daemon.json.1 daemon.json.2 daemon.json.3",
    );
    // One that cannot validate has reloaded the last, and was never started with it.
    const trial = engine === "20.10" ? ["daemon.json.trial"] : [];
    assert.equal(kept.trim().split("\n"), [
      ...["daemon.json.1", "daemon.json.2", "daemon.json.3", "daemon.json.ran", ...trial],
      ...["c=1", "b=1", "a=1"],
    ]);
    assert.is((await box.sh("stat -c %a /var/lib/berth/backup/daemon.json.1")).trim(), "600");
  });

  test(`${engine}: end of its story`, () => box.close());
}

const only = process.env["BERTH_TEST_ENGINE"];
for (const engine of ENGINES) if (only === undefined || only === engine) story(engine);

test.run();
