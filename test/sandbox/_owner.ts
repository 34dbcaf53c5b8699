// A process that owns a clone until someone kills it; sandbox.test.ts looks at what is left then.
import { openSandbox } from "./harness.ts";

const box = await openSandbox({ image: true });
await box.sh("docker run -d box sleep 1000; ip link add br0 type bridge");
process.stdout.write(`owns ${box.clone.name} ${box.clone.pid} ${box.clone.directory}\n`);
setInterval(() => {}, 1000);
