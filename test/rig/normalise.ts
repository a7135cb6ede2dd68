import type { TestProject } from './project.js';

/** What memt printed with everything replaced that differs from run to run: ports, pids, paths, times, versions of this machine. */
export function normalise(text: string, project: TestProject): string {
  const { ports } = project;
  return text
    .replaceAll(project.root, '<root>')
    .replaceAll(project.home, '<home>')
    .replace(new RegExp(`\\b(${ports.web})\\b`, 'g'), '<web>')
    .replace(new RegExp(`\\b(${ports.mongodb})\\b`, 'g'), '<mongodb>')
    .replace(new RegExp(`\\b(${ports.rabbitmq})\\b`, 'g'), '<rabbitmq>')
    .replace(new RegExp(`\\b(${ports.management})\\b`, 'g'), '<management>')
    .replace(new RegExp(`\\b(${ports.web + 1})\\b`, 'g'), '<web+1>')
    .replace(/pid \d+/g, 'pid N')
    .replace(/user \w+/g, 'user U')
    .replace(/\d+(\.\d+)? CPUs \([^)]+\)/g, 'C CPUs')
    .replace(/\b\d+\.\d s\b/g, 'T s')
    .replace(/file:\/\/[^\s)]*\/(dist|node_modules)\/[^\s)]*/g, '<memt>');
}

/** The sentence that a failure begins with, without what differs from run to run: for snapshots, one per message. */
export function message(stderr: string, project: TestProject): string {
  const line = normalise(stderr, project).split('\n', 1)[0] ?? '';
  return line
    .replace(/\b(web|worker)\.\d\b/g, '$1.N')
    .replace(/\b\d+(\.\d+)? s\b/g, 'T s')
    .replace(/\b\d\/(\d) (answering|consuming|healthy)/g, 'N/$1 $2')
    .replace(/node \(pid N, user U[^)]*\)/g, 'node (pid N, user U)');
}
