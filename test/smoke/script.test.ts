// `berth run` by the executable; test/cli/script.test.ts tells the same stories of the source.
import { test } from "uvu";
import { scriptStories } from "../cli/_scripts.ts";
import { executable } from "./_berth.ts";

test.before(async () => {
  await executable();
});

scriptStories(test, async () => [await executable()]);

test.run();
