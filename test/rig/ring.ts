/** `npm run test:all` sets it: whatever takes long, and tells no more than a shorter test of the same thing, runs only then. */
export const LONG = process.env['MEMT_TEST_LONG'] === '1';
