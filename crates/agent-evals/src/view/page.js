"use strict";
// Everything that comes from a sample reaches the page as text: no markup is ever made of it.
(() => {
  const index = JSON.parse(document.getElementById("index").textContent);
  const $ = (id) => document.getElementById(id);
  const rows = index.rows;

  function make(tag, name, ...children) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    for (const child of children) if (child !== null && child !== undefined) element.append(child);
    return element;
  }

  // Characters that are not seen, or that turn the text around them: shown by their number.
  const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
  function put(into, text) {
    let from = 0;
    for (const hit of text.matchAll(HIDDEN)) {
      if (hit.index > from) into.append(text.slice(from, hit.index));
      const code = "U+" + hit[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      into.append(make("span", "hidden-mark", code));
      from = hit.index + hit[0].length;
    }
    if (from < text.length) into.append(text.slice(from));
    return into;
  }

  const LONG = 4000;
  function block(text, name) {
    const pre = make("pre", "text " + (name || ""));
    pre.dir = "auto";
    if (text.length <= LONG) return put(pre, text);
    put(pre, text.slice(0, LONG));
    const more = make("button", "more", "show all " + text.length.toLocaleString() + " characters");
    more.onclick = () => { pre.textContent = ""; put(pre, text); };
    return make("div", "", pre, more);
  }
  const pretty = (value) => JSON.stringify(value, null, 2);
  function fold(title, value, open) {
    const details = make("details", "fold", make("summary", "", title));
    const fill = () => { if (details.open && details.children.length === 1) details.append(block(typeof value === "string" ? value : pretty(value), "code")); };
    details.ontoggle = fill;
    details.open = Boolean(open);
    fill();
    return details;
  }

  // ---- what is shown --------------------------------------------------------------------------

  const scorers = index.scorers;
  const columns = [
    { id: "sample", title: "sample", of: (row) => row.sample + (row.epoch > 1 || index.epochs > 1 ? " #" + row.epoch : "") },
    { id: "scenario", title: "scenario", of: (row) => row.scenario },
    { id: "agent", title: "agent", of: (row) => row.agent },
    { id: "persona", title: "persona", of: (row) => row.persona },
    { id: "state", title: "state", of: (row) => row.state },
    ...scorers.map((name) => ({ id: "score:" + name, title: name, scorer: name, of: (row) => score(row, name) })),
    { id: "turns", title: "turns", number: true, of: (row) => row.turns },
    { id: "ended", title: "ended", of: (row) => row.ended },
  ].filter((column) => !["scenario", "agent", "persona"].includes(column.id) || new Set(rows.map(column.of)).size > 1);

  function score(row, name) {
    const of = row.scores[name];
    return typeof of === "number" ? of : null;
  }
  const digits = (n) => (Number.isInteger(n) ? String(n) : n.toPrecision(3));

  const state = { sort: "", down: "", sample: "", find: "", deep: "", scenario: "", agent: "", persona: "", state: "", scorer: "", least: "", most: "" };
  let shown = [];

  function readHash() {
    const hash = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(state)) state[key] = hash.get(key) || "";
  }
  function writeHash(replace) {
    const hash = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) if (value !== "") hash.set(key, value);
    const url = "#" + hash.toString();
    if (replace) history.replaceState(null, "", url); else location.hash = url;
  }

  function choose() {
    const find = state.find.toLowerCase();
    const raw = JSON.stringify(state.find).slice(1, -1).replaceAll("<", "\\u003c");
    const least = state.least === "" ? null : Number(state.least);
    const most = state.most === "" ? null : Number(state.most);
    const scorer = state.scorer || scorers[0];
    shown = [];
    rows.forEach((row, i) => {
      for (const key of ["scenario", "agent", "persona", "state"]) if (state[key] && row[key] !== state[key]) return;
      if (least !== null || most !== null) {
        const value = score(row, scorer);
        if (value === null || (least !== null && value < least) || (most !== null && value > most)) return;
      }
      if (find) {
        const named = (row.sample + "\n" + row.scenario + "\n" + row.agent + "\n" + row.persona + "\n" + row.ended + "\n" + row.input).toLowerCase();
        if (!named.includes(find) && !(state.deep && $("s" + i).textContent.includes(raw))) return;
      }
      shown.push(i);
    });
    const column = columns.find((column) => column.id === state.sort);
    if (column) {
      const sign = state.down ? -1 : 1;
      shown.sort((a, b) => {
        const [x, y] = [column.of(rows[a]), column.of(rows[b])];
        if (x === y) return a - b;
        // What has no number comes last, whichever way.
        if (x === null) return 1;
        if (y === null) return -1;
        return (x < y ? -1 : 1) * sign;
      });
    }
  }

  function sums() {
    const parts = [shown.length.toLocaleString() + " of " + rows.length.toLocaleString() + " samples"];
    for (const name of scorers) {
      let sum = 0, n = 0, none = 0, failed = 0;
      for (const i of shown) {
        const of = rows[i].scores[name];
        if (typeof of === "number") { sum += of; n += 1; } else if (of && "unscored" in of) none += 1; else if (of) failed += 1;
      }
      let says = name + " " + (n ? digits(sum / n) : "–") + " (n = " + n;
      if (none) says += ", " + none + " unscored";
      if (failed) says += ", " + failed + " errors";
      parts.push(says + ")");
    }
    $("sums").textContent = parts.join("  ·  ");
  }

  // ---- the table: only the rows in sight are there ----------------------------------------------

  const scroller = $("scroller"), space = $("space");
  let rowHeight = 34, drawn = "";

  function head() {
    const line = $("head");
    line.textContent = "";
    for (const column of columns) {
      const button = make("button", column.scorer || column.number ? "cell number" : "cell", put(make("span"), column.title));
      if (["sample", "scenario"].includes(column.id)) button.classList.add("wide");
      if (state.sort === column.id) {
        button.append(state.down ? " ▾" : " ▴");
        button.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      }
      button.onclick = () => {
        if (state.sort !== column.id) [state.sort, state.down] = [column.id, ""];
        else if (!state.down) state.down = "1";
        else [state.sort, state.down] = ["", ""];
        writeHash(true); update();
      };
      line.append(button);
    }
  }

  function draw() {
    const first = Math.max(0, Math.floor(scroller.scrollTop / rowHeight) - 8);
    const last = Math.min(shown.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / rowHeight) + 8);
    const key = first + " " + last + " " + state.sample + " " + version;
    if (key === drawn) return;
    drawn = key;
    space.textContent = "";
    for (let at = first; at < last; at += 1) {
      const i = shown[at], row = rows[i];
      const line = make("a", "row " + row.state + (String(i) === state.sample ? " chosen" : ""));
      line.href = "#";
      line.setAttribute("role", "row");
      line.setAttribute("aria-rowindex", String(at + 1));
      line.style.top = at * rowHeight + "px";
      line.onclick = (event) => { event.preventDefault(); open(i); };
      for (const column of columns) {
        const value = column.of(row);
        const cell = make("span", column.scorer || column.number ? "cell number" : "cell");
        if (["sample", "scenario"].includes(column.id)) cell.classList.add("wide");
        if (!column.scorer) cell.classList.add(column.id);
        if (column.scorer) {
          const of = row.scores[column.scorer];
          if (typeof value === "number") {
            cell.append(digits(value));
          } else {
            cell.append(of ? ("unscored" in of ? "none" : "error") : "–");
            cell.classList.add("none");
          }
        } else {
          put(cell, value === null || value === undefined ? "–" : String(value));
        }
        cell.title = column.title;
        cell.setAttribute("role", "gridcell");
        line.append(cell);
      }
      space.append(line);
    }
  }

  let version = 0;
  function update() {
    version += 1;
    choose();
    const probe = make("a", "row");
    space.append(probe);
    rowHeight = probe.getBoundingClientRect().height || 34;
    probe.remove();
    space.style.height = shown.length * rowHeight + "px";
    $("grid").setAttribute("aria-rowcount", String(shown.length));
    head();
    sums();
    draw();
    $("nothing").hidden = shown.length > 0;
  }

  // ---- one sample ---------------------------------------------------------------------------------

  function verdict(score) {
    const of = score.verdict;
    if (typeof of.scored === "number") {
      const bar = make("span", "bar", make("span"));
      bar.firstChild.style.width = Math.max(0, Math.min(1, of.scored)) * 100 + "%";
      return make("div", "verdict", make("b", "", digits(of.scored)), bar);
    }
    const kind = "unscored" in of ? "unscored" : "error";
    return make("div", "verdict none", make("b", "", kind), " ", put(make("span"), of[kind]));
  }

  function scoreCard(name, score) {
    const card = make("section", "score", put(make("h3"), name), verdict(score));
    if (score.answer) card.append(make("div", "label", "judged"), block(score.answer));
    if (score.explanation) card.append(make("div", "label", "why"), block(score.explanation));
    if (score.metadata && Object.keys(score.metadata).length) card.append(fold("evidence", score.metadata, JSON.stringify(score.metadata).length < 600));
    return card;
  }

  function turn(kind, title, ...children) {
    return make("article", "turn " + kind, put(make("header"), title), ...children);
  }
  function callBox(call) {
    let written = call.arguments;
    try {
      const read = JSON.parse(call.arguments);
      const entries = Object.entries(read);
      // A command is easier to read as it is.
      written = entries.length === 1 && typeof entries[0][1] === "string" ? entries[0][1] : pretty(read);
    } catch { /* shown as the model wrote it */ }
    return make("div", "call", put(make("div", "label"), "calls " + (call.name || "?")), block(written, "code"));
  }
  function message(of) {
    if (of.role === "assistant") {
      return turn("assistant", "assistant",
        of.reasoning ? fold("thoughts", of.reasoning) : null,
        of.text ? block(of.text) : null, ...(of.tool_calls || []).map(callBox));
    }
    return turn(of.role, of.role === "tool" ? "result of " + of.call_id : of.role, block(of.text));
  }
  function event(of) {
    const at = "  ·  " + (of.at_us / 1e6).toFixed(2) + " s";
    const [[kind, what]] = typeof of.what === "string" ? [[of.what, null]] : Object.entries(of.what);
    if (kind === "begin") {
      const parts = what.opening.map(message);
      if (what.tools && what.tools.length) parts.push(turn("note", "tools", fold(what.tools.map((t) => t.name).join(", "), what.tools)));
      return parts;
    }
    if (kind === "model") {
      if (what.reply.failed) return [turn("failed", "the model failed" + at, block(pretty(what.reply.failed), "code"))];
      const answer = what.reply.answer;
      const said = answer.text || answer.refusal || "";
      const tokens = answer.usage ? "  ·  " + answer.usage.completion_tokens + " tokens" : "";
      const stop = typeof answer.stop === "string" ? answer.stop : pretty(answer.stop);
      const odd = ["end_of_turn", "tool_calls", "unreported"].includes(stop) ? "" : "  ·  " + stop;
      return [turn("assistant", "assistant" + at + tokens + odd,
        answer.reasoning ? fold("thoughts", answer.reasoning) : null,
        said ? block(said) : null, ...(answer.tool_calls || []).map(callBox))];
    }
    if (kind === "tool") {
      const took = "  ·  " + what.call.name + at + ", took " + (what.took_us / 1e6).toFixed(2) + " s";
      const out = what.outcome.output, refused = what.outcome.refused;
      if (refused) return [turn("tool refused", "refused: " + refused.kind + took, block(refused.message))];
      const facts = out.facts && Object.keys(out.facts).length ? fold("facts", out.facts) : null;
      return [turn("tool", "result" + took, block(out.text), facts)];
    }
    if (kind === "reaction") {
      if (what.say) return [turn("user", what.say.by + at, block(what.say.text))];
      return [turn("note", "the scenario ends it" + at, block(typeof what === "string" ? what : what.end || ""))];
    }
    if (kind === "observed") return what === null ? [] : [turn("note", "state in the end", fold("evidence", what, JSON.stringify(what).length < 600))];
    if (kind === "end") {
      const words = typeof what === "string" ? what : Object.entries(what).map(([k, v]) => k + ": " + (typeof v === "string" ? v : pretty(v))).join("");
      return [turn("note", "end" + at, block(words))];
    }
    return [turn("note", kind + at, block(pretty(what), "code"))];
  }

  const CHUNK = 60;
  function lazily(into, items, render) {
    let next = 0;
    const more = make("div", "sentinel");
    const step = () => {
      for (const end = Math.min(items.length, next + CHUNK); next < end; next += 1) more.before(...render(items[next]));
      if (next >= items.length) { watch.disconnect(); more.remove(); }
    };
    const watch = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) step(); }, { root: into, rootMargin: "1200px" });
    into.append(more);
    step();
    if (more.isConnected) watch.observe(more);
  }

  function show() {
    const pane = $("detail");
    pane.textContent = "";
    document.body.classList.toggle("open", state.sample !== "");
    const source = state.sample === "" ? null : $("s" + state.sample);
    if (!source || !rows[state.sample]) {
      pane.append(make("p", "hint", "Choose a sample."));
      return;
    }
    const row = rows[state.sample], of = JSON.parse(source.textContent);
    const close = make("button", "close", "back to the table");
    close.onclick = () => { state.sample = ""; writeHash(false); };
    const title = put(make("h2"), [row.scenario, row.agent, row.persona, row.sample].join(" / ") + " #" + row.epoch);
    const facts = make("p", "facts", row.turns + " turns  ·  " + row.tokens.toLocaleString() + " tokens  ·  " + row.seconds.toFixed(1) + " s  ·  ended: ");
    put(facts, row.ended);
    pane.append(close, title, facts);
    const cards = make("div", "scores");
    for (const [name, score] of Object.entries(of.scores)) cards.append(scoreCard(name, score));
    pane.append(cards);
    const about = {};
    for (const key of ["input", "target", "metadata", "limits", "agent"]) if (of[key] !== undefined) about[key] = of[key];
    pane.append(fold("sample", about));
    if (of.events) lazily(pane, of.events, event);
    else lazily(pane, of.conversation || [], (m) => [message(m)]);
    pane.scrollTop = 0;
  }

  function open(i) {
    state.sample = String(i);
    writeHash(false);
  }
  function reveal() {
    const at = shown.indexOf(Number(state.sample));
    if (state.sample === "" || at < 0) return;
    const top = at * rowHeight;
    if (top < scroller.scrollTop || top + rowHeight > scroller.scrollTop + scroller.clientHeight) {
      scroller.scrollTop = Math.max(0, top - scroller.clientHeight / 2);
    }
  }

  // ---- filters --------------------------------------------------------------------------------------

  function option(value, title) {
    const one = make("option", "", title);
    one.value = value;
    return one;
  }
  for (const key of ["scenario", "agent", "persona", "state"]) {
    const select = $(key);
    const values = [...new Set(rows.map((row) => row[key]))].sort();
    select.append(option("", "any " + key), ...values.map((value) => option(value, value)));
    select.hidden = values.length < 2;
  }
  $("scorer").append(...scorers.map((name) => option(name, name)));
  for (const id of ["scorer", "least", "most"]) $(id).hidden = scorers.length === 0;
  $("filters").onsubmit = (event) => event.preventDefault();
  let later = 0;
  for (const key of ["scenario", "agent", "persona", "state", "scorer", "least", "most", "find", "deep"]) {
    const input = $(key);
    input.oninput = () => {
      state[key] = input.type === "checkbox" ? (input.checked ? "1" : "") : input.value;
      clearTimeout(later);
      later = setTimeout(() => { writeHash(true); scroller.scrollTop = 0; update(); }, key === "find" ? 150 : 0);
    };
  }
  function fillFilters() {
    for (const key of ["scenario", "agent", "persona", "state", "scorer", "least", "most", "find"]) {
      $(key).value = state[key] || (key === "scorer" ? scorers[0] || "" : "");
    }
    $("deep").checked = state.deep !== "";
  }

  document.onkeydown = (event) => {
    if (["INPUT", "SELECT"].includes(event.target.tagName)) return;
    const at = shown.indexOf(Number(state.sample === "" ? -1 : state.sample));
    if ((event.key === "j" || event.key === "ArrowDown") && !event.target.closest("#detail") && at + 1 < shown.length) open(shown[at + 1]);
    else if ((event.key === "k" || event.key === "ArrowUp") && !event.target.closest("#detail") && at > 0) open(shown[at - 1]);
    else if (event.key === "Escape" && state.sample !== "") { state.sample = ""; writeHash(false); }
    else return;
    event.preventDefault();
  };

  let opened = null;
  function navigate() {
    readHash();
    fillFilters();
    update();
    reveal();
    draw();
    if (opened !== state.sample) { opened = state.sample; show(); }
  }
  put($("title"), index.title);
  put($("subtitle"), index.subtitle);
  document.title = index.title;
  scroller.onscroll = draw;
  window.onhashchange = navigate;
  window.onresize = () => { update(); };
  navigate();
  document.documentElement.dataset.readyMs = performance.now().toFixed(0);
})();
