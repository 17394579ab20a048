"use strict";
/* The table of candidates: sorted, filtered, and shown page by page, so that thousands stay quick. */

const PAGE_SIZES = [25, 50, 100, 250];

class Candidates {
  constructor(holder) {
    this.sort = { name: "rank", descending: false };
    this.words = "";
    this.page = 0;
    this.size = PAGE_SIZES[0];
    this.open = new Set();
    this.choose = null;
    this.holder = holder;
    this.build();
  }

  /* Controls are made once: what a reader does with them outlives new data. */
  build() {
    this.box = el("input", {
      type: "search", id: "filter", autocomplete: "off", spellcheck: "false",
      placeholder: "e.g. status=failed  params<50000  norm=batch_norm",
      input: () => { this.words = this.box.value; this.page = 0; this.rows(); },
    });
    this.length = el("select", {
      id: "page-size", change: () => { this.size = Number(this.length.value); this.page = 0; this.rows(); },
    }, PAGE_SIZES.map((size) => el("option", { value: size }, String(size))));
    this.fields = el("fieldset", {}, el("legend", {}, "Columns of the table"));
    this.head = el("tr", {});
    this.body = el("tbody", {});
    this.count = el("span", { role: "status" });
    this.back = el("button", { type: "button", click: () => { this.page -= 1; this.rows(); } }, "← Previous");
    this.next = el("button", { type: "button", click: () => { this.page += 1; this.rows(); } }, "Next →");
    this.table = el("table", { class: "ranked" }, el("thead", {}, this.head), this.body);
    this.holder.append(
      el("div", { class: "controls" },
        el("label", { class: "wide" }, "Filter: words, or a column with =, <, >, <=, >=", this.box),
        el("label", {}, "Rows on a page", this.length)),
      el("details", { class: "columns" }, el("summary", {}, "Columns"), this.fields),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Candidates" }, this.table),
      el("div", { class: "pages" }, this.back, this.next, this.count));
  }

  show(data) {
    this.count_all = data.count;
    const ranks = Array.from({ length: data.count }, (_, place) => place + 1);
    this.columns = [{ name: "rank", lower: true, values: ranks }, ...data.columns].map((column) => ({
      ...column, isText: Boolean(column.levels) || column.name === "key",
    }));
    this.by_name = new Map(this.columns.map((column) => [column.name, column]));
    if (!this.by_name.has(this.sort.name)) this.sort = { name: "rank", descending: false };
    this.chosen = this.choose || new Set(["rank", ...data.shown, ...(this.has_failures() ? ["error"] : [])]);
    this.texts = null;
    this.fields.replaceChildren(this.fields.firstChild, ...this.columns.map((column) => this.field(column)));
    this.heading();
    this.rows();
  }

  has_failures() {
    const status = this.by_name.get("status");
    return Boolean(status && status.levels.some((level) => level !== "ok"));
  }

  field({ name }) {
    const tick = el("input", {
      type: "checkbox", checked: this.chosen.has(name), disabled: name === "key",
      change: () => {
        this.choose = this.chosen;
        this.chosen[tick.checked ? "add" : "delete"](name);
        this.heading();
        this.rows();
      },
    });
    return el("label", {}, tick, ` ${name}`);
  }

  get visible() {
    return this.columns.filter((column) => this.chosen.has(column.name));
  }

  heading() {
    const names = this.visible.map((column) => column.name).join("\n");
    if (names !== this.headings) {
      this.headings = names;
      this.head.replaceChildren(...this.visible.map((column) => el("th", {
        scope: "col", class: column.isText ? "" : "number",
      }, el("button", { type: "button", click: () => this.turn(column) }, column.name))));
    }
    this.visible.forEach((column, i) => {
      const direction = this.sort.descending ? "descending" : "ascending";
      this.head.children[i].setAttribute("aria-sort", column.name === this.sort.name ? direction : "none");
    });
  }

  /* The first click on a heading brings the best values to the top. */
  turn({ name, isText, lower }) {
    const again = this.sort.name === name;
    this.sort = { name, descending: again ? !this.sort.descending : !isText && !lower };
    this.page = 0;
    this.heading();
    this.rows();
  }

  value(column, row) {
    return column.levels ? column.levels[column.codes[row]] : column.values[row];
  }

  /* Which rows are shown, in which order; what has no value comes last either way. */
  order() {
    const kept = this.filtered(), column = this.by_name.get(this.sort.name);
    const sign = this.sort.descending ? -1 : 1;
    const values = column.levels ? column.codes.map(this.places(column)) : column.values;
    const compare = typeof values[0] === "string" ? (a, b) => (a < b ? -1 : a > b ? 1 : 0) : (a, b) => a - b;
    return kept.sort((i, j) => {
      const a = values[i], b = values[j];
      if (a == null || b == null) return (a == null) - (b == null) || i - j;
      return sign * compare(a, b) || i - j;
    });
  }

  places(column) {
    const order = column.levels.map((_, i) => i);
    const collator = new Intl.Collator("en", { numeric: true });
    order.sort((i, j) => collator.compare(column.levels[i], column.levels[j]));
    const place = new Array(order.length);
    order.forEach((level, i) => { place[level] = column.levels[level] === "" ? null : i; });
    return (code) => place[code];
  }

  filtered() {
    const tests = this.words.trim().split(/\s+/).filter(Boolean).map((word) => this.test(word));
    const kept = [];
    for (let row = 0; row < this.count_all; row += 1) {
      if (tests.every((passes) => passes(row))) kept.push(row);
    }
    return kept;
  }

  test(word) {
    const found = /^(.+?)(<=|>=|=|<|>)(.*)$/.exec(word);
    const column = found && this.by_name.get(found[1]);
    if (!column) return (row) => this.text(row).includes(word.toLowerCase());
    const [, name, sign, wanted] = found;
    if (sign === "=") return (row) => String(this.value(column, row) ?? "").toLowerCase() === wanted.toLowerCase();
    const bound = Number(wanted.replace(/%$/, "")) / (wanted.endsWith("%") && isShare(name) ? 100 : 1);
    const compare = { "<": (a) => a < bound, ">": (a) => a > bound, "<=": (a) => a <= bound, ">=": (a) => a >= bound };
    return (row) => {
      const value = this.value(column, row);
      return value != null && value !== "" && compare[sign](Number(value));
    };
  }

  text(row) {
    if (!this.texts) {
      const columns = this.columns.filter((column) => column.isText);
      this.texts = Array.from({ length: this.count_all }, (_, i) => columns
        .map((column) => (column.choice ? `${column.name}=${this.value(column, i)}` : this.value(column, i)))
        .join(" ").toLowerCase());
    }
    return this.texts[row];
  }

  rows() {
    const order = this.order(), pages = Math.max(1, Math.ceil(order.length / this.size));
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    const start = this.page * this.size, some = order.slice(start, start + this.size);
    this.body.replaceChildren(...some.flatMap((row) => this.row(row)));
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page >= pages - 1;
    const range = some.length ? `${start + 1}–${start + some.length} of ` : "";
    const of_all = order.length < this.count_all ? ` (${this.count_all.toLocaleString("en")} in all)` : "";
    this.count.textContent = `${range}${order.length.toLocaleString("en")} candidates${of_all}`;
  }

  row(row) {
    const key = this.value(this.by_name.get("key"), row), isOpen = this.open.has(key);
    const cells = this.visible.map((column) => {
      const value = this.value(column, row);
      if (column.name === "key") {
        const toggle = el("button", {
          type: "button", class: "key", "aria-expanded": String(isOpen),
          click: () => { this.open[isOpen ? "delete" : "add"](key); this.rows(); this.focus(key); },
        }, key);
        return el("th", { scope: "row" }, toggle);
      }
      const failed = column.name === "status" && value !== "ok";
      const kind = [column.isText ? "" : "number", failed ? "failed" : "", column.name === "error" ? "long" : ""];
      return el("td", { class: kind.join(" ").trim() || null }, shown(column.name, value));
    });
    const line = el("tr", {}, cells);
    return isOpen ? [line, this.details(row)] : [line];
  }

  focus(key) {
    for (const button of this.body.querySelectorAll("button.key")) {
      if (button.textContent === key) button.focus();
    }
  }

  details(row) {
    const facts = this.columns
      .map((column) => [column.name, this.value(column, row)])
      .filter(([, value]) => value != null && value !== "")
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, shown(name, value))));
    return el("tr", {}, el("td", { class: "inner", colspan: this.visible.length }, el("dl", { class: "facts" }, facts)));
  }
}
