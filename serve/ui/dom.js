// The few lines that stand in for a framework.

/** An element with attributes and children; text is never taken for markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria-")) made.setAttribute(key, value);
    else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Tabs after the ARIA pattern: arrow keys move, one tab is in the tab order. Calls choose(name) for the first. */
export function tabs(list, names, choose) {
  const select = (name, focus) => {
    for (const tab of list.children) {
      const chosen = tab.textContent === name;
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen && focus) tab.focus();
    }
    choose(name);
  };
  const step = (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = names.indexOf(event.target.textContent);
    select(names[(at + by + names.length) % names.length], true);
  };
  list.replaceChildren(
    ...names.map((name) => element("button", { type: "button", role: "tab", onclick: () => select(name), onkeydown: step }, name)),
  );
  select(names[0]);
}
