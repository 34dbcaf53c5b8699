// `berth run` from source; test/smoke/script.test.ts tells the same stories of the executable.
import { test } from "uvu";
import { BERTH } from "./_berth.ts";
import { scriptStories } from "./_scripts.ts";

scriptStories(test, () => Promise.resolve(BERTH));

test.run();
