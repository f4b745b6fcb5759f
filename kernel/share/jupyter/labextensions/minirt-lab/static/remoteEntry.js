/* minirt's extension for JupyterLab 4 and Notebook 7: two plugins, written by hand, no build step.
 *
 *   minirt-lab:graph      draws application/vnd.minirt.graph+json (see minirt/views/bundle.py)
 *   minirt-lab:highlight  colours cells that hold a Dockerfile or a container's shell script
 *
 * JupyterLab loads this file as a module-federation container: it calls init(shared modules), then get("./extension").
 *
 * The graph's MIME type is declared safe, so it is also drawn in notebooks nobody has trusted yet. Therefore nothing
 * of the message becomes markup: the SVG is parsed into an inert document and built anew from the lists of elements
 * and attributes below; everything else, scripts and links above all, is left behind.
 */
(() => {
  "use strict";

  const NAME = "minirt-lab";
  const MIME = "application/vnd.minirt.graph+json";
  const SVG = "http://www.w3.org/2000/svg";
  const MOVE_MS = 260;
  const PULSE_MS = 1200;
  let shared;

  // ------------------------------------------------------------------------------------------- building from the list

  const COLOUR = /^(none|#[0-9a-f]{3,8})$/i;
  const NUMBERS = /^[-+0-9.,\s]*$/;
  const ELEMENTS = {
    svg: ["viewBox", "width", "height", "font-family"],
    g: ["transform"],
    rect: ["x", "y", "width", "height", "rx"],
    path: ["d", "transform", "stroke-linecap", "stroke-linejoin"],
    text: ["x", "y", "font-size", "font-family", "font-weight", "text-anchor", "text-decoration", "textLength", "lengthAdjust"],
  };
  const PAINT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "fill-opacity", "stroke-opacity"];
  const ALLOWED = {
    fill: COLOUR, stroke: COLOUR,
    viewBox: NUMBERS, x: NUMBERS, y: NUMBERS, width: NUMBERS, height: NUMBERS, rx: NUMBERS, textLength: NUMBERS,
    "font-size": NUMBERS, "stroke-width": NUMBERS, "stroke-dasharray": NUMBERS, "fill-opacity": NUMBERS, "stroke-opacity": NUMBERS,
    d: /^[-+0-9.,\sA-Za-z]*$/,
    transform: /^(\s*(translate|scale)\([-+0-9.,\s]*\))*$/,
    "font-family": /^[\w ,-]*$/,
    "font-weight": /^bold$/, "text-anchor": /^(middle|end)$/, "text-decoration": /^line-through$/,
    lengthAdjust: /^spacingAndGlyphs$/, "stroke-linecap": /^round$/, "stroke-linejoin": /^round$/,
  };

  /* A clean copy of an element and all below it, or null. Ids become data-id (an id could shadow a page's global), classes
   * get a prefix (a class could borrow the page's own styles), and tooltips are collected in `tips`. */
  function copy(source, tips, depth = 0) {
    const name = source.localName;
    if (!Object.hasOwn(ELEMENTS, name) || source.namespaceURI !== SVG || depth > 12) return null;
    const made = document.createElementNS(SVG, name);
    for (const attribute of [...ELEMENTS[name], ...PAINT]) {
      const value = source.getAttribute(attribute);
      if (value !== null && ALLOWED[attribute].test(value)) made.setAttribute(attribute, value);
    }
    const words = (source.getAttribute("class") || "").split(/\s+/).filter((word) => /^[\w-]+$/.test(word));
    for (const word of words) made.classList.add("mrt-" + word);
    if (source.id) made.dataset.id = source.id;
    if (name === "text") made.textContent = source.textContent;
    else for (const child of source.children) {
      if (child.localName === "title" && source.id) tips.set(source.id, child.textContent);
      const clean = copy(child, tips, depth + 1);
      if (clean) made.append(clean);
    }
    return made;
  }

  function build(text, tips) {
    const parsed = new DOMParser().parseFromString(String(text), "image/svg+xml");
    const root = parsed.documentElement;
    return root.localName === "svg" ? copy(root, tips) : null;
  }

  // ------------------------------------------------------------------------------------------------ from frame to frame

  const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const parts = (svg) => new Map([...svg.querySelectorAll("g[data-id]")].map((g) => [g.dataset.id, g]));

  /* The corner of a card in the picture's own units, from the attributes alone: no layout is forced. */
  function corner(group) {
    const rect = group.querySelector("rect");
    if (!rect) return null;
    const [, dx = 0, dy = 0] = /translate\(([-\d.]+)[ ,]+([-\d.]+)\)/.exec(group.parentNode.getAttribute?.("transform") || "") || [];
    return { x: +rect.getAttribute("x") + +dx, y: +rect.getAttribute("y") + +dy };
  }

  /* Put what did not change back from the old picture (so that its animation goes on), and animate what did. */
  function morph(old, next) {
    for (const group of old.querySelectorAll(".mrt-lit")) group.classList.remove("mrt-lit");
    const before = parts(old);
    const moves = [];
    // A running step is drawn anew each second: let its icon go on pulsing where it was.
    for (const sign of next.querySelectorAll(".mrt-running > .mrt-icon")) sign.style.animationDelay = -(performance.now() % PULSE_MS) + "ms";
    for (const [id, group] of parts(next)) {
      const was = before.get(id);
      if (!was) moves.push([group, [{ opacity: 0 }, { opacity: 1 }]]);
      else if (was.outerHTML === group.outerHTML && was.parentNode.getAttribute("transform") === group.parentNode.getAttribute("transform")) group.replaceWith(was);
      else {
        const a = corner(was), b = corner(group);
        const moved = a && b && Math.abs(a.x - b.x) + Math.abs(a.y - b.y) > 0.5;
        if (moved) moves.push([group, [{ transform: `translate(${a.x - b.x}px,${a.y - b.y}px)` }, { transform: "none" }]]);
        else if (was.getAttribute("class") !== group.getAttribute("class")) moves.push([group, [{ opacity: 0.45 }, { opacity: 1 }]]);
      }
    }
    old.replaceWith(next);
    if (!still()) for (const [group, frames] of moves) group.animate(frames, { duration: MOVE_MS, easing: "ease-out" });
  }

  // -------------------------------------------------------------------------------------------------------- the picture

  class Picture {
    constructor(node) {
      this.node = node;
      this.svg = null;
      this.tips = new Map();
      this.edges = [];
      this.view = null; // [x, y, width, height] while zoomed
      this.bar = element("div", "mrt-bar");
      this.toggle = button("Show as table", () => this.showTable(this.table.hidden));
      this.reset = button("Reset zoom", () => this.zoomTo(null));
      this.bar.append(this.reset, this.toggle);
      this.frame = element("div", "mrt-frame");
      this.table = element("pre", "mrt-table");
      this.table.tabIndex = 0;
      this.table.hidden = this.reset.hidden = true;
      this.tip = element("div", "mrt-tip");
      this.tip.hidden = true;
      node.append(this.bar, this.frame, this.table, this.tip);
      this.listen();
    }

    draw(data) {
      this.table.textContent = String(data.text ?? "");
      this.table.setAttribute("aria-label", String(data.title ?? "") + " as a table");
      this.edges = Array.isArray(data.edges) ? data.edges : [];
      if (data.svg === this.source) return;
      this.source = data.svg;
      const tips = new Map();
      const next = build(data.svg, tips);
      if (!next) return this.showTable(true);
      this.full = (next.getAttribute("viewBox") || "0 0 0 0").split(/[\s,]+/).map(Number);
      next.setAttribute("role", "img");
      next.setAttribute("aria-label", String(data.title ?? "graph"));
      next.classList.add("mrt-svg");
      next.setAttribute("width", this.full[2]); // its natural width: here there may be room, and CSS shrinks it if not
      next.removeAttribute("height");
      next.dataset.status = String(data.status ?? "");
      this.tips = tips;
      if (this.svg) morph(this.svg, next); else this.frame.append(next);
      this.svg = next;
      this.zoomTo(this.view);
      this.trace(this.traced);
      this.follow();
    }

    showTable(yes) {
      this.table.hidden = !yes;
      this.frame.hidden = yes;
      this.toggle.textContent = yes ? "Show as picture" : "Show as table";
      this.toggle.setAttribute("aria-pressed", String(yes));
    }

    /* A picture higher than its frame follows the running step, until the reader scrolls. */
    follow() {
      const running = this.svg.querySelector(".mrt-node.mrt-running");
      if (!running || this.scrolled || this.frame.scrollHeight <= this.frame.clientHeight + 4) return;
      const at = corner(running), scale = this.svg.clientHeight / this.full[3];
      if (at) this.frame.scrollTop = this.expected = Math.max(0, at.y * scale - this.frame.clientHeight / 2);
    }

    // ----- zoom and pan: only the viewBox changes, so letters stay sharp

    zoomTo(view) {
      this.view = view;
      this.reset.hidden = !view;
      this.frame.classList.toggle("mrt-zoomed", !!view);
      this.svg?.setAttribute("viewBox", (view || this.full).join(" "));
    }

    zoom(event) {
      if (!(event.ctrlKey || event.metaKey) || !this.svg) return;
      event.preventDefault();
      const [x, y, w, h] = this.view || this.full;
      const box = this.svg.getBoundingClientRect();
      const u = (event.clientX - box.left) / box.width, v = (event.clientY - box.top) / box.height;
      const wanted = w * (event.deltaY < 0 ? 1 / 1.2 : 1.2);
      if (wanted >= this.full[2]) return this.zoomTo(null);
      const width = Math.max(wanted, this.full[2] / 12), height = h * (width / w);
      this.zoomTo([x + u * (w - width), y + v * (h - height), width, height]);
    }

    drag(event) {
      if (!this.view || event.button !== 0) return;
      const [x, y, w, h] = this.view, box = this.svg.getBoundingClientRect();
      const move = (to) => this.zoomTo([x - ((to.clientX - event.clientX) * w) / box.width, y - ((to.clientY - event.clientY) * h) / box.height, w, h]);
      const end = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", end); };
      addEventListener("pointermove", move);
      addEventListener("pointerup", end);
    }

    // ----- hover: a tooltip, and everything that leads to the node or follows from it

    trace(id) {
      this.traced = id;
      const near = id ? this.related(id) : null;
      const on = near !== null && near.size > 1;
      this.svg?.classList.toggle("mrt-tracing", on);
      for (const [key, group] of this.svg ? parts(this.svg) : []) {
        const ends = group.classList.contains("mrt-edge") ? this.edges.find(([a, b]) => key === `${a}--${b}`) : null;
        group.classList.toggle("mrt-lit", on && (ends ? near.has(ends[0]) && near.has(ends[1]) : near.has(key)));
      }
    }

    related(id) {
      const found = new Set([id]);
      for (const [from, to] of [[0, 1], [1, 0]]) {
        const todo = [id];
        while (todo.length) {
          const at = todo.pop();
          for (const edge of this.edges) if (edge[from] === at && !(found.has(edge[to]))) { found.add(edge[to]); todo.push(edge[to]); }
        }
      }
      return found;
    }

    hover(event) {
      const group = event.target.closest?.("g[data-id]");
      const id = group?.dataset.id;
      const words = id && this.tips.get(id);
      this.tip.hidden = !words;
      if (words) {
        this.tip.textContent = words;
        const box = this.node.getBoundingClientRect();
        const x = Math.min(event.clientX - box.left + 14, Math.max(0, box.width - this.tip.offsetWidth - 4));
        this.tip.style.left = x + "px";
        this.tip.style.top = event.clientY - box.top + 18 + "px";
      }
      const node = group?.classList.contains("mrt-node") ? id : undefined;
      if (node !== this.traced) this.trace(node);
    }

    leave() {
      this.tip.hidden = true;
      this.trace(undefined);
    }

    listen() {
      this.frame.addEventListener("wheel", (event) => this.zoom(event), { passive: false });
      this.frame.addEventListener("pointerdown", (event) => this.drag(event));
      this.frame.addEventListener("dblclick", () => this.zoomTo(null));
      this.frame.addEventListener("pointermove", (event) => this.hover(event));
      this.frame.addEventListener("pointerleave", () => this.leave());
      this.frame.addEventListener("scroll", () => { this.scrolled = Math.abs(this.frame.scrollTop - (this.expected ?? 0)) > 40; });
    }
  }

  function element(name, className) {
    const made = document.createElement(name);
    made.className = className;
    return made;
  }

  function button(label, act) {
    const made = element("button", "mrt-button");
    made.type = "button";
    made.textContent = label;
    made.addEventListener("click", act);
    return made;
  }

  // ---------------------------------------------------------------------------------------------------------- the style

  /* The dark twin of each colour in minirt/views/theme.py; a test keeps the two lists together. */
  const DARK = {
    "#1c2330": "#e8ebf0", "#4d5866": "#b4bcc7", "#7b8490": "#a3abb6",
    "#ffffff": "#1b1e23", "#f7f8fa": "#23262b", "#f4f5f7": "#1f2226",
    "#a9b2bd": "#5a626d", "#a8b0ba": "#5d656f", "#98a2ae": "#767f8b", "#8b95a1": "#7d8793", "#5d6875": "#98a2ae", "#7d8794": "#939daa",
    "#fff3d1": "#3d3010", "#c98500": "#e0a100", "#a86f00": "#f0b530",
    "#e4f0fa": "#12293b", "#3f8fc6": "#4fa3dc", "#0868a8": "#6dbcf2",
    "#e2f3ec": "#10312a", "#2f9f7b": "#2f9f7b", "#007a59": "#45c79e", "#cfeadf": "#164437",
    "#f8c8ae": "#54260e", "#d55e00": "#ea7a2a", "#b84a00": "#ff9a55",
    "#f5e9f0": "#3a2132", "#b0668f": "#c47ba5", "#94487a": "#e09cc6",
    "#fdf1dc": "#3a2d14", "#d6d0ee": "#3b3566", "#7a6fb0": "#9c90d8", "#5a4f92": "#b9aef0",
  };

  function style() {
    const dark = Object.entries(DARK).flatMap(([light, colour]) => ["fill", "stroke"].map((paint) => `[data-jp-theme-light="false"] .mrt-svg [${paint}="${light}"]{${paint}:${colour}}`));
    const made = document.createElement("style");
    made.textContent = `
.mrt-graph-output{position:relative;padding:2px 0;color:var(--jp-content-font-color1)}
.mrt-frame{max-height:85vh;overflow-x:hidden;overflow-y:auto}
.mrt-svg{display:block;max-width:100%;height:auto;user-select:none}
.mrt-zoomed{cursor:grab}.mrt-zoomed:active{cursor:grabbing}
.mrt-bar{position:absolute;right:4px;top:2px;z-index:2;display:flex;gap:4px;opacity:0;transition:opacity .15s}
.mrt-graph-output:hover .mrt-bar,.mrt-graph-output:focus-within .mrt-bar{opacity:1}
.mrt-button{font:var(--jp-ui-font-size0,11px) var(--jp-ui-font-family);color:var(--jp-ui-font-color1);background:var(--jp-layout-color2);border:1px solid var(--jp-border-color1);border-radius:4px;padding:2px 8px;cursor:pointer}
.mrt-button:focus-visible{outline:2px solid var(--jp-brand-color1)}
.mrt-table{font-family:var(--jp-code-font-family);font-size:var(--jp-code-font-size);overflow:auto;margin:0;padding:4px 0}
.mrt-tip{position:absolute;z-index:10;max-width:460px;padding:6px 9px;border-radius:5px;pointer-events:none;white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.4 var(--jp-ui-font-family);color:var(--jp-ui-font-color0);background:var(--jp-layout-color1);border:1px solid var(--jp-border-color1);box-shadow:0 2px 8px rgba(0,0,0,.25)}
.mrt-svg .mrt-header text:first-of-type{fill:var(--jp-content-font-color1)}
.mrt-svg .mrt-header text,.mrt-svg .mrt-group>text,.mrt-svg .mrt-legend text{fill:var(--jp-content-font-color2)}
.mrt-node,.mrt-edge,.mrt-group{transition:opacity .15s}
.mrt-tracing .mrt-node:not(.mrt-lit),.mrt-tracing .mrt-edge:not(.mrt-lit){opacity:.25}
.mrt-tracing .mrt-edge.mrt-lit path{stroke-width:2.2px}
@media (prefers-reduced-motion:no-preference){.mrt-node.mrt-running .mrt-icon{animation:mrt-pulse ${PULSE_MS}ms ease-in-out infinite}}
@keyframes mrt-pulse{50%{opacity:.35}}
${dark.join("\n")}`;
    return made;
  }

  // -------------------------------------------------------------------------------------------------------- the plugins

  async function module(path) {
    const versions = shared[path];
    if (!versions) throw new Error(`${NAME}: JupyterLab does not share ${path}`);
    const [version] = Object.keys(versions);
    return (await versions[version].get())();
  }

  const graphPlugin = (IRenderMimeRegistry, Widget) => ({
    id: `${NAME}:graph`,
    autoStart: true,
    requires: [IRenderMimeRegistry],
    activate: (_app, registry) => {
      document.head.append(style());
      class GraphWidget extends Widget {
        constructor() {
          super();
          this.addClass("mrt-graph-output");
          this.picture = new Picture(this.node);
        }
        // JupyterLab calls this again on the same widget for each update of a display: nothing flickers.
        renderModel(model) {
          this.picture.draw(model.data[MIME] || {});
          return Promise.resolve();
        }
      }
      registry.addFactory({ safe: true, mimeTypes: [MIME], defaultRank: 10, createRenderer: () => new GraphWidget() });
    },
  });

  /* FROM may come after comments, ARG lines and parser directives. */
  const DOCKERFILE = /^\s*(%%dockerfile\b|((#[^\n]*|ARG\s[^\n]*)?\n\s*)*FROM\s+\S)/;
  const SHELL = /^\s*%%run\b/;

  function language(source) {
    if (DOCKERFILE.test(source)) return "text/x-dockerfile";
    return SHELL.test(source) ? "text/x-sh" : null;
  }

  const highlightPlugin = (INotebookTracker, IEditorLanguageRegistry) => ({
    id: `${NAME}:highlight`,
    autoStart: true,
    requires: [INotebookTracker, IEditorLanguageRegistry],
    activate: (_app, tracker, languages) => {
      // An editor takes the language that *arrives* last, not the one asked for last: have them all here first.
      const loaded = Promise.all(["text/x-dockerfile", "text/x-sh", "text/x-ipython"].map((mime) => languages.getLanguage(mime)));
      const watch = (panel) => {
        const notebook = panel.content, known = new WeakSet();
        const update = (cell) => {
          if (cell.isDisposed || cell.model.type !== "code") return;
          const wanted = language(cell.model.sharedModel.getSource()) || notebook.codeMimetype;
          if (cell.model.mimeType !== wanted) cell.model.mimeType = wanted;
        };
        const all = () => notebook.widgets.forEach((cell) => {
          if (!known.has(cell)) {
            known.add(cell);
            cell.model.contentChanged.connect(() => update(cell));
            // When the kernel tells its language, JupyterLab sets it on every cell: set ours again.
            cell.model.mimeTypeChanged.connect(() => update(cell));
          }
          update(cell);
        });
        Promise.all([panel.context.ready, loaded]).then(() => {
          all();
          notebook.model.cells.changed.connect(() => setTimeout(all, 0));
        });
      };
      tracker.forEach(watch);
      tracker.widgetAdded.connect((_, panel) => watch(panel));
    },
  });

  async function plugins() {
    const { IRenderMimeRegistry } = await module("@jupyterlab/rendermime");
    const { Widget } = await module("@lumino/widgets");
    const { INotebookTracker } = await module("@jupyterlab/notebook");
    const { IEditorLanguageRegistry } = await module("@jupyterlab/codemirror");
    return [graphPlugin(IRenderMimeRegistry, Widget), highlightPlugin(INotebookTracker, IEditorLanguageRegistry)];
  }

  (window._JUPYTERLAB ??= {})[NAME] = {
    init: (scope) => { shared = scope; },
    get: async () => {
      const made = await plugins();
      return () => ({ __esModule: true, default: made });
    },
  };
})();
