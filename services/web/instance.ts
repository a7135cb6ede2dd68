import { bootInstance } from '../../src/http/boot.js';
import { WebInstance } from '../../src/http/instance.js';

new WebInstance(await bootInstance(), new URL('./watchdog.js', import.meta.url)).start();
