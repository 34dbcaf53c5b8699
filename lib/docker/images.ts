// Calls about images: looking, and the streams that pull, load and import them.
import { type Endpoint, ENDPOINTS } from "./endpoints.ts";
import { DockerError } from "./errors.ts";
import { LineSplitter } from "./lines.ts";
import { type CallArgs, type Caller, wording } from "./request.ts";
import type { CallOptions, Docker } from "./types.ts";

type Calls = Pick<Docker, "inspectImage" | "listImages" | "pullImage" | "loadImage" | "importImage">;

/** A reference's name, and its tag or digest ("latest" where it has none), as the engine wants them apart. */
export function splitReference(ref: string): { name: string; tag: string } {
  const digest = ref.indexOf("@");
  if (digest >= 0) return { name: ref.slice(0, digest).replace(/:[^/:]+$/, ""), tag: ref.slice(digest + 1) };
  // A colon before a slash belongs to a registry's port.
  const colon = ref.lastIndexOf(":");
  return colon > ref.lastIndexOf("/")
    ? { name: ref.slice(0, colon), tag: ref.slice(colon + 1) }
    : { name: ref, tag: "latest" };
}

/** The calls about images on one way to the engine. */
export function imageCalls(caller: Caller): Calls {
  /** Follows a call that tells its progress line by line; errors come inside the stream, with status 200. */
  async function progress(
    endpoint: Endpoint,
    args: CallArgs,
    options: CallOptions | undefined,
    onLine: (line: { status: string; stream: string; text: string }) => void,
  ): Promise<void> {
    const { parseAnswer, progressSchema } = await import("./schemas.ts");
    const splitter = new LineSplitter();
    const { object, doing } = wording(endpoint, args);
    let failed = "";
    const read = (line: string | null) => {
      if (line === null || line.trim() === "") return;
      let body: unknown;
      try {
        body = JSON.parse(line);
      } catch (cause) {
        throw new DockerError({
          fault: "answer",
          object,
          message: `Cannot ${doing}: the engine's progress is no JSON: ${JSON.stringify(line.slice(0, 80))}`,
          cause,
        });
      }
      const said = parseAnswer(progressSchema, body, `POST ${endpoint.path}`);
      failed ||= said.errorDetail?.message || said.error;
      const text = [said.id, said.status || said.stream.trim(), said.progress].filter((each) => each !== "")
        .join(" ");
      onLine({ status: said.status, stream: said.stream.trim(), text });
    };
    await caller.call(endpoint, { ...args, onChunk: (chunk) => splitter.push(chunk).forEach(read) }, options);
    read(splitter.end());
    if (failed !== "") {
      const next = endpoint.next?.[500];
      throw new DockerError({
        fault: "status",
        object,
        message: `Cannot ${doing}: ${failed}`,
        ...(next === undefined ? {} : { next }),
      });
    }
  }

  return {
    async inspectImage(ref, options) {
      const { imageSchema, parseAnswer } = await import("./schemas.ts");
      const { status, body } = await caller.call(ENDPOINTS.imageInspect, { ref }, options);
      if (status === 404) return null;
      const said = parseAnswer(imageSchema, body, "GET /images/{name}/json");
      return { id: said.Id, config: said.Config };
    },
    async listImages(options) {
      const { imageListSchema, parseAnswer } = await import("./schemas.ts");
      const { body } = await caller.call(ENDPOINTS.imageList, {}, options);
      return parseAnswer(imageListSchema, body, "GET /images/json").map((each) => ({
        id: each.Id,
        tags: each.RepoTags.filter((tag) => tag !== "<none>:<none>"),
        labels: each.Labels,
        size: each.Size,
      }));
    },
    async pullImage(ref, onProgress, options) {
      const { name, tag } = splitReference(ref);
      const headers: Record<string, string> = options?.auth === undefined
        ? {}
        : { "X-Registry-Auth": options.auth };
      const args = { ref, query: { fromImage: name, tag }, headers };
      await progress(ENDPOINTS.imagePull, args, options, (line) => onProgress?.(line.text));
    },
    async loadImage(tar, options) {
      const loaded: string[] = [];
      // quiet: progress bars are of no use to a program; the names come all the same.
      await progress(ENDPOINTS.imageLoad, { tar, query: { quiet: true } }, options, ({ stream }) => {
        const name = /^Loaded image(?: ID)?: (.+)$/.exec(stream)?.[1];
        if (name !== undefined) loaded.push(name);
      });
      return loaded;
    },
    async importImage(tar, ref, options) {
      const { name, tag } = splitReference(ref);
      const query = { fromSrc: "-", repo: name, tag, changes: options?.changes };
      let id = "";
      await progress(ENDPOINTS.imageImport, { ref, tar, query }, options, ({ status }) => {
        if (status.startsWith("sha256:")) id = status;
      });
      return id;
    },
  };
}
