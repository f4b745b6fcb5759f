// What a page gets of each terminal: small, so that the kernel soon hears that there is a page. The terminal itself
// (terminal.js) is asked for once a page. Without an answer it says what the saved notebook says.
const PATIENCE = 5000;

function theTerminal(model, send) {
  const known = (globalThis.minirtTerminal ??= {});
  known.module ??= new Promise((resolve, reject) => {
    const take = async (message, buffers) => {
      if (message.type !== "code") return;
      model.off("msg:custom", take);
      const address = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      try {
        resolve(await import(address));
      } catch (error) {
        reject(error);
      } finally {
        URL.revokeObjectURL(address);
      }
    };
    model.on("msg:custom", take);
    send({ type: "code" });
    setTimeout(() => reject(new Error("no answer")), PATIENCE);
  }).catch((error) => {
    delete known.module;
    throw error;
  });
  return known.module;
}

function render({ model, el }) {
  const view = crypto.randomUUID?.() ?? String(Math.random());
  const send = (message) => model.send({ view, ...message });
  const box = document.createElement("div");
  el.append(box);
  let screen = null;
  let gone = false;
  const early = [];

  const receive = (message, buffers) => {
    if (message.view !== undefined && message.view !== view) return;
    if (!screen) {
      if (message.type !== "code") early.push([message, buffers]);
    } else if (message.type === "show") {
      const data = buffers[0];
      screen.write(new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength));
    } else if (message.type === "end") {
      screen.end(message.text);
    }
  };
  model.on("msg:custom", receive);
  send({ type: "hello" });
  theTerminal(model, send)
    .then((terminal) => {
      if (gone) return;
      screen = terminal.show(box, { title: model.get("title"), send });
      for (const waiting of early.splice(0)) receive(...waiting);
      send({ type: "ready", ...screen.size() });
      if (!document.activeElement || document.activeElement === document.body
        || el.closest(".jp-Cell")?.contains(document.activeElement)) screen.focus();
    })
    .catch(() => {
      box.style.whiteSpace = "pre-wrap";
      box.style.fontFamily = "var(--jp-code-font-family, monospace)";
      box.textContent = model.get("fallback");
    });
  return () => {
    gone = true;
    model.off("msg:custom", receive);
    send({ type: "bye" });
    screen?.dispose();
  };
}

export default { render };
