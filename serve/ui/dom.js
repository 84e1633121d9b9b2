// Helpers to build the page's elements, instead of a framework.

/** Returns an element with attributes and children. Text is never parsed as markup. */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) created.addEventListener(key.slice(2), value);
    else if (key.startsWith("aria-")) created.setAttribute(key, value);
    else if (value !== false && value != null) created.setAttribute(key, value === true ? "" : value);
  }
  created.append(...children);
  return created;
}

/** Fills `list` with tabs that follow the ARIA pattern: arrow keys move, one tab is in the tab order. Calls
 * onSelect(name) for the first tab and on every change. */
export function tabs(list, panel, names, onSelect) {
  const select = (name, focus) => {
    for (const tab of list.children) {
      const selected = tab.textContent === name;
      tab.setAttribute("aria-selected", selected);
      tab.tabIndex = selected ? 0 : -1;
      if (selected) panel.setAttribute("aria-labelledby", tab.id);
      if (selected && focus) tab.focus();
    }
    onSelect(name);
  };
  const moveFocus = (event) => {
    const index = names.indexOf(event.target.textContent);
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    select(names[(next + names.length) % names.length], true);
  };
  list.replaceChildren(
    ...names.map((name, index) =>
      element(
        "button",
        {
          type: "button",
          role: "tab",
          id: `${panel.id}-tab-${index}`,
          "aria-controls": panel.id,
          onclick: () => select(name),
          onkeydown: moveFocus,
        },
        name,
      ),
    ),
  );
  select(names[0]);
}
