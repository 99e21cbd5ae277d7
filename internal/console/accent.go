package console

import (
	"fmt"
	"math"
)

// The grounds of the pages that lie nearest to an accent, light and dark: --ground and --card of web/src/style/tokens.css.
const lightGround, darkGround = "#f6f7f8", "#1a2127"

// brand is a stylesheet with the accent of the settings, a colour that is read on it, and one for its edge where that alone
// says what something is: a button, or what is chosen.
func brand(accent string) string {
	if accent == "" {
		return "/* The setting console.accent stands here. */\n"
	}
	return fmt.Sprintf(":root { --accent: %s; --accent-ink: %s; --accent-edge: %s; }\n@media (prefers-color-scheme: dark) { :root { --accent-edge: %s; } }\n",
		accent, inkOn(accent), edgeOn(lightGround, accent), edgeOn(darkGround, accent))
}

// inkOn returns black or white, whichever is read better on a colour.
func inkOn(colour string) string {
	if contrast(colour, "#000000") > contrast(colour, "#ffffff") {
		return "#000000"
	}
	return "#ffffff"
}

// edgeOn returns the accent where it is told from the ground (WCAG 2.2, 1.4.11: 3 to 1), else the ink of the pages.
func edgeOn(ground, accent string) string {
	if contrast(ground, accent) >= 3 {
		return accent
	}
	return "var(--ink)"
}

// contrast is that of two colours, from 1 to 21 (WCAG 2.2, contrast ratio).
func contrast(a, b string) float64 {
	light, dark := luminance(a), luminance(b)
	if light < dark {
		light, dark = dark, light
	}
	return (light + 0.05) / (dark + 0.05)
}

// luminance is the light of a colour, #rrggbb (WCAG 2.2, relative luminance); of what is none, that of black.
func luminance(colour string) float64 {
	var c [3]uint8
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &c[0], &c[1], &c[2]); err != nil {
		return 0
	}
	linear := func(c uint8) float64 {
		v := float64(c) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}
