package traffic

// Shorten returns a history's text with its n oldest entries alone: "" for none.
func Shorten(annotation string, n int) string {
	past, err := History(annotation)
	if err != nil || n <= 0 {
		return ""
	}
	return encode(past[:min(n, len(past))])
}
