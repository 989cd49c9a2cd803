(() => {
  "use strict";

  const FEW = 5;
  const byId = (id) => document.getElementById(id);
  const matrix = byId("matrix");
  if (!matrix) return;

  const form = byId("filters");
  const count = byId("count");
  const practice = byId("practice");
  const search = byId("search");
  const places = { account: byId("account"), region: byId("region") };
  const choices = [...form.querySelectorAll("button[data-filter]")];
  const columns = [...practice.options].slice(1).map((option) => option.value);

  const rows = [...matrix.querySelectorAll("tbody tr")].map((row) => {
    const states = [...row.querySelectorAll(".state")].slice(1, columns.length + 1).map((state) => state.classList[1]);
    const [, , , region, account] = row.dataset.arn.split(":");
    return { row, states, region, account, result: row.dataset.result, text: null };
  });
  const details = rows.map(({ row }) => row.querySelector("details")).filter(Boolean);

  // --- filters, which the fragment of the address repeats, so that what is seen can be sent on ---

  const pressed = (filter) =>
    choices
      .filter((button) => button.dataset.filter === filter && button.getAttribute("aria-pressed") === "true")
      .map((button) => button.value);

  function chosen() {
    const all = {
      result: pressed("result"),
      practice: practice.value,
      state: pressed("state"),
      account: places.account.value,
      region: places.region.value,
      q: search.value.trim(),
    };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value.length));
  }

  function passes(each, wanted) {
    if (wanted.result && !wanted.result.includes(each.result)) return false;
    if (wanted.account && each.account !== wanted.account) return false;
    if (wanted.region && each.region !== wanted.region) return false;
    if (wanted.state) {
      const states = wanted.practice ? [each.states[columns.indexOf(wanted.practice)]] : each.states;
      if (!states.some((state) => wanted.state.includes(state))) return false;
    }
    if (wanted.words) {
      each.text ??= `${each.row.dataset.arn} ${each.row.textContent}`.toLowerCase();
      if (!wanted.words.every((word) => each.text.includes(word))) return false;
    }
    return true;
  }

  function apply() {
    const filters = chosen();
    const wanted = { ...filters, words: filters.q?.toLowerCase().split(/\s+/) };
    let shown = 0;
    for (const each of rows) {
      const passed = passes(each, wanted);
      each.row.hidden = !passed;
      shown += passed;
    }
    const filtered = Object.keys(filters).length > 0;
    const number = (value) => value.toLocaleString("en");
    count.textContent = filtered
      ? `${number(shown)} of ${number(rows.length)} queues shown`
      : `${number(rows.length)} ${rows.length === 1 ? "queue" : "queues"}`;
    byId("clear").hidden = !filtered;
    return filters;
  }

  function remember() {
    const filters = apply();
    const fragment = new URLSearchParams(Object.entries(filters).map(([key, value]) => [key, String(value)]));
    history.replaceState(null, "", `#${fragment}`);
  }

  function recall() {
    const fragment = location.hash.slice(1);
    if (fragment && !fragment.includes("=")) {
      apply();
      return false;
    }
    const wanted = new URLSearchParams(fragment);
    for (const button of choices) {
      const values = (wanted.get(button.dataset.filter) ?? "").split(",");
      button.setAttribute("aria-pressed", String(values.includes(button.value)));
    }
    for (const [key, control] of Object.entries({ practice, ...places })) {
      control.value = wanted.get(key) ?? "";
      if (control.selectedIndex < 0) control.value = "";
    }
    search.value = wanted.get("q") ?? "";
    apply();
    return fragment !== "";
  }

  function fill(name) {
    const values = [...new Set(rows.map((each) => each[name]))].filter(Boolean).sort();
    for (const value of values) places[name].add(new Option(value, value));
    places[name].parentElement.hidden = values.length < 2;
  }

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(remember, 150);
  });
  for (const control of [practice, ...Object.values(places)]) control.addEventListener("change", remember);
  for (const button of choices) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      remember();
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    remember();
  });
  byId("clear").addEventListener("click", () => {
    history.replaceState(null, "", "#");
    recall();
    search.focus();
  });
  window.addEventListener("hashchange", () => {
    if (recall()) byId("queues").scrollIntoView();
  });

  // --- findings: closed at first where there are many, open on paper ---

  const openAll = (open) => details.forEach((each) => { each.open = open; });
  const toggle = byId("open");
  toggle.hidden = details.length === 0;
  const setToggle = (open) => {
    openAll(open);
    toggle.setAttribute("aria-expanded", String(open));
    toggle.textContent = open ? "Close all findings" : "Open all findings";
  };
  toggle.addEventListener("click", () => setToggle(toggle.getAttribute("aria-expanded") !== "true"));
  setToggle(details.length <= FEW);

  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = details.filter((each) => !each.open);
    openAll(true);
  });
  window.addEventListener("afterprint", () => {
    closed.forEach((each) => { each.open = false; });
    closed = [];
  });

  // --- copying a next step ---

  function addCopyButtons(within) {
    for (const step of within.querySelectorAll(".step")) {
      if (step.querySelector("button")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.setAttribute("aria-label", "Copy the next step");
      step.append(button);
    }
  }

  async function copy(code) {
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(code.textContent);
        return "Copied";
      } catch {
        // A browser may forbid it, and then the text is at least selected.
      }
    }
    getSelection().selectAllChildren(code);
    return document.execCommand("copy") ? "Copied" : "Selected";
  }

  matrix.addEventListener("click", async (event) => {
    const button = event.target.closest(".step button");
    if (!button) return;
    button.textContent = await copy(button.parentElement.querySelector("code"));
    byId("said").textContent = `${button.textContent}: the next step`;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  matrix.addEventListener("toggle", (event) => { if (event.target.open) addCopyButtons(event.target); }, true);
  details.filter((each) => each.open).forEach(addCopyButtons);

  fill("account");
  fill("region");
  form.hidden = false;
  byId("shown").hidden = false;
  recall();
})();
