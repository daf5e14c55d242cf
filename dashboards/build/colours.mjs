// The colours of all panels. Most are Okabe and Ito's, which every kind of colour vision tells apart; the words beside
// them say the same.

export const ORANGE = "#E69F00";
export const SKY = "#56B4E9";
export const GREEN = "#009E73";
export const YELLOW = "#F0E442";
export const BLUE = "#0072B2";
export const VERMILLION = "#D55E00";
export const PINK = "#CC79A7";
export const GREY = "#999999";
export const BROWN = "#8B5A2B";

// One colour, whatever is shown.
export const fixed = (fixedColor) => ({ mode: "fixed", fixedColor });

// Series whose names nobody knows beforehand: shades of one colour differ in lightness.
export const SHADES = { mode: "shades", fixedColor: SKY };

// By what the value means: thresholds or value mappings.
export const BY_VALUE = { mode: "thresholds" };

// Steps from [value, colour], the first of which begins at no value.
export const steps = (base, ...more) => ({
  mode: "absolute",
  steps: [{ value: null, color: base }, ...more.map(([value, color]) => ({ value, color }))],
});

// Overrides that give the named series their colours.
export const coloured = (colours) =>
  Object.entries(colours).map(([name, colour]) => ({
    matcher: { id: "byName", options: name },
    properties: [{ id: "color", value: fixed(colour) }],
  }));
