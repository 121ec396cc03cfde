package fault

// Nearest is the candidate that a mistyped name most probably meant, or ""
// when none is close: at most two edits, and fewer than half the letters.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", 3
	for _, c := range candidates {
		if d := distance(name, c); d < bestDistance && d*2 <= max(len(c), 2) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: inserts, deletes,
// substitutions and swaps of neighbours each cost one.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
