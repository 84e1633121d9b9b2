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
export function tabs(list, panel, names, choose) {
  const select = (name, focus) => {
    for (const tab of list.children) {
      const chosen = tab.textContent === name;
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen) panel.setAttribute("aria-labelledby", tab.id);
      if (chosen && focus) tab.focus();
    }
    choose(name);
  };
  const step = (event) => {
    const at = names.indexOf(event.target.textContent);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    select(names[(to + names.length) % names.length], true);
  };
  list.replaceChildren(
    ...names.map((name, at) => element("button", { type: "button", role: "tab", id: `${panel.id}-tab-${at}`, "aria-controls": panel.id, onclick: () => select(name), onkeydown: step }, name)),
  );
  select(names[0]);
}
