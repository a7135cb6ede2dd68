import { bootInstance } from '../../src/http/boot.js';
import { WebInstance } from '../../src/http/instance.js';

new WebInstance(bootInstance(), new URL('./watchdog.js', import.meta.url)).start();
