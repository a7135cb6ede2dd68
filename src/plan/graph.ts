/** A unit and what it depends on; `after` orders without depending: it is kept when both are there, and never pulls a unit in. */
export interface Node {
  readonly name: string;
  readonly dependsOn: readonly string[];
  readonly after?: readonly string[];
}

/** The names in an order in which everything comes after what it depends on; ties keep the given order. Throws on a cycle: a bug. */
export function startOrder(nodes: readonly Node[]): string[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const order: string[] = [];
  const state = new Map<string, 'visiting' | 'done'>();
  const visit = (name: string, path: readonly string[]): void => {
    const node = byName.get(name);
    if (!node || state.get(name) === 'done') return;
    if (state.get(name) === 'visiting') throw new Error(`dependency cycle: ${[...path, name].join(' -> ')}`);
    state.set(name, 'visiting');
    for (const before of [...node.dependsOn, ...(node.after ?? [])]) visit(before, [...path, name]);
    state.set(name, 'done');
    order.push(name);
  };
  for (const node of nodes) visit(node.name, []);
  return order;
}

/** The wanted names and everything they depend on, in start order; all of them when nothing is named. */
export function closure(nodes: readonly Node[], wanted: readonly string[]): string[] {
  const order = startOrder(nodes);
  if (wanted.length === 0) return order;
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const needed = new Set<string>();
  const add = (name: string): void => {
    if (needed.has(name)) return;
    needed.add(name);
    byName.get(name)?.dependsOn.forEach(add);
  };
  wanted.forEach(add);
  return order.filter((name) => needed.has(name));
}
