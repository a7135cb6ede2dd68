/** JSON text, or undefined for what JSON has no word for (functions, symbols); its declared type hides that. Throws on cycles and bigints. */
export const jsonText = JSON.stringify as (value: unknown) => string | undefined;
