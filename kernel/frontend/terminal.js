// One view of one terminal. The kernel sends bytes, this sends keys and sizes; see terminal.py for the messages.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import styles from "@xterm/xterm/css/xterm.css";

// The terminal's own, not that of the element around it: what fits is reckoned without the former alone.
const PADDING = 6;
const OWN_STYLES = `
.mrt-terminal { box-sizing: content-box; height: 26em; min-height: 6em; resize: vertical; overflow: hidden;
  border: 1px solid var(--jp-border-color2, #8886); border-radius: 4px; }
.mrt-terminal:focus-within { border-color: var(--jp-brand-color1, #2196f3); }
.mrt-terminal .xterm { box-sizing: border-box; height: 100%; padding: ${PADDING}px 2px ${PADDING}px 8px; }
.mrt-terminal .xterm-viewport { background-color: transparent !important; }`;

const LIGHT = {
  background: "#ffffff", foreground: "#1f2430", cursor: "#1f2430", cursorAccent: "#ffffff",
  selectionBackground: "#b3d7ff", black: "#1f2430", red: "#b3261e", green: "#1b6e3c", yellow: "#7a5900",
  blue: "#1d4fb8", magenta: "#8a2da5", cyan: "#00677d", white: "#6b7280", brightBlack: "#4b5563",
  brightRed: "#d0342c", brightGreen: "#22863a", brightYellow: "#946b00", brightBlue: "#2a66d9",
  brightMagenta: "#a63cc6", brightCyan: "#007a94", brightWhite: "#374151",
};
const DARK = {
  background: "#111318", foreground: "#e4e6eb", cursor: "#e4e6eb", cursorAccent: "#111318",
  selectionBackground: "#2f4f7a", black: "#3a3f4b", red: "#ff7b72", green: "#7ee787", yellow: "#e3b341",
  blue: "#79b8ff", magenta: "#d2a8ff", cyan: "#76e3ea", white: "#d0d4dc", brightBlack: "#8b949e",
  brightRed: "#ffa198", brightGreen: "#9be9a8", brightYellow: "#f2cc60", brightBlue: "#a5d6ff",
  brightMagenta: "#e2c5ff", brightCyan: "#b3f0ff", brightWhite: "#ffffff",
};

function isDark() {
  const told = document.body.dataset.jpThemeLight;
  if (told !== undefined) return told === "false";
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

function addStyles() {
  if (document.getElementById("mrt-terminal-styles")) return;
  const element = document.createElement("style");
  element.id = "mrt-terminal-styles";
  element.textContent = styles + OWN_STYLES;
  document.head.append(element);
}

// Ctrl-C copies when something is selected, as in other terminals of editors; else it is the key it always was.
function handleKey(terminal, event) {
  const control = event.ctrlKey || event.metaKey;
  if (event.type !== "keydown" || !control || event.altKey) return true;
  const key = event.key.toLowerCase();
  if (key === "c" && terminal.hasSelection() && (event.shiftKey || event.metaKey || event.ctrlKey)) {
    navigator.clipboard?.writeText(terminal.getSelection()).catch(() => document.execCommand("copy"));
    terminal.clearSelection();
    event.preventDefault();
    return false;
  }
  if (key === "c" && event.shiftKey) {
    event.preventDefault();
    return false;
  }
  return key !== "v"; // the browser pastes
}

// What a notebook would take for its own: shortcuts, and drags that select the cell.
function keepToOurselves(element) {
  element.dataset.lmSuppressShortcuts = "true";
  const names = ["keydown", "keypress", "keyup", "paste", "copy", "cut", "mousedown", "dblclick", "wheel"];
  for (const name of names) element.addEventListener(name, (event) => event.stopPropagation());
}

// A program that said little leaves a small picture of itself, not a hole in the page.
function shrink(terminal, element) {
  const buffer = terminal.buffer.active;
  const used = buffer.baseY + buffer.cursorY + 1;
  const screen = element.querySelector(".xterm-screen");
  if (used >= terminal.rows || !screen?.clientHeight) return;
  element.style.minHeight = "0";
  element.style.height = `${Math.ceil((used * screen.clientHeight) / terminal.rows) + 2 * PADDING}px`;
}

export function show(element, { title, send }) {
  addStyles();
  element.classList.add("mrt-terminal");
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", title);
  keepToOurselves(element);
  const terminal = new Terminal({
    cursorBlink: true,
    fontFamily: getComputedStyle(document.body).getPropertyValue("--jp-code-font-family") || "monospace",
    fontSize: 13,
    minimumContrastRatio: 4.5,
    scrollback: 10000,
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(element);
  terminal.attachCustomKeyEventHandler((event) => handleKey(terminal, event));
  // Messages may overtake each other on their way; keys must not.
  let count = 0;
  terminal.onData((data) => send({ type: "keys", data, count: count++ }));
  terminal.onBinary((data) => send({ type: "binary", data, count: count++ }));

  const dress = () => {
    const theme = isDark() ? DARK : LIGHT;
    terminal.options.theme = theme;
    element.style.backgroundColor = theme.background;
    element.dataset.theme = isDark() ? "dark" : "light";
  };
  dress();
  const themes = new MutationObserver(dress);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });

  let timer = 0;
  const measure = () => {
    const size = fit.proposeDimensions();
    if (!size || !size.cols || !size.rows || element.clientHeight < 20) return; // not on the page right now
    if (size.cols !== terminal.cols || size.rows !== terminal.rows) fit.fit();
  };
  terminal.onResize(({ rows, cols }) => {
    clearTimeout(timer);
    timer = setTimeout(() => send({ type: "resize", rows, columns: cols }), 50);
  });
  const sizes = new ResizeObserver(() => requestAnimationFrame(measure));
  sizes.observe(element);
  measure();

  return {
    size: () => ({ rows: terminal.rows, columns: terminal.cols }),
    focus: () => terminal.focus(),
    write(bytes) {
      terminal.write(bytes, () => send({ type: "taken", bytes: bytes.length }));
    },
    end(text) {
      terminal.options.disableStdin = true;
      terminal.options.cursorBlink = false;
      terminal.write(`\x1b[0m\x1b[?25l\r\n\x1b[2m${text}\x1b[0m`, () => shrink(terminal, element));
      element.dataset.ended = text;
    },
    dispose() {
      themes.disconnect();
      sizes.disconnect();
      clearTimeout(timer);
      terminal.dispose();
    },
  };
}
