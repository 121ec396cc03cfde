package api

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// column is one column of what kubectl get prints.
type column struct {
	name  string
	kind  string // string, integer, date
	wide  bool   // only with -o wide
	value func(store.Object) any
}

// nameColumn is the one that every table has.
const nameColumn = "Name"

// tableColumns are the columns of a kind. The names of events say nothing, and
// stand last.
func tableColumns(kind *store.Kind) []column {
	name := column{name: nameColumn, kind: "string", value: func(o store.Object) any { return o.GetName() }}
	if kind.Kind == "Event" {
		return append(columnsOf(kind), wide(name))
	}
	return append([]column{name}, columnsOf(kind)...)
}

// newTable is the rows and columns of objects. include says what of the objects
// goes with the rows.
func newTable(kind *store.Kind, items []store.Object, include string) *metav1.Table {
	columns := tableColumns(kind)
	table := &metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table", APIVersion: "meta.k8s.io/v1"}, Rows: []metav1.TableRow{}}
	for _, c := range columns {
		definition := metav1.TableColumnDefinition{Name: c.name, Type: c.kind}
		if c.name == nameColumn {
			definition.Format = "name"
		}
		if c.wide {
			definition.Priority = 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, definition)
	}
	for _, item := range items {
		row := metav1.TableRow{Object: rowObject(item, include)}
		for _, c := range columns {
			row.Cells = append(row.Cells, c.value(item))
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

func rowObject(item store.Object, include string) runtime.RawExtension {
	switch metav1.IncludeObjectPolicy(include) {
	case metav1.IncludeNone:
		return runtime.RawExtension{}
	case metav1.IncludeObject:
		return runtime.RawExtension{Object: item}
	}
	return runtime.RawExtension{Object: partial(item)}
}

// age is how long ago something was, as kubectl writes it.
func age(at metav1.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(at.Time))
}
