package transfer

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"berth/storage/meta"
)

// An archive is the rows of a registry in a file: lines of JSON, compressed with gzip.
// The first line is a header; each table begins with a line that names its columns, and
// its rows follow as arrays; the last line has the SHA-256 of all others, so that a
// file which has been cut off is not taken for whole.

const archiveVersion = 1

type archiveHeader struct {
	Format    string    `json:"format"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
	By        string    `json:"by"` // the version of berth
}

type archiveTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type archiveEnd struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

const archiveFormat = "berth backup"

// ErrArchive says that a file is not a whole archive of a registry.
var ErrArchive = errors.New("the backup cannot be read")

// WriteArchive writes the rows of a moment.
func WriteArchive(ctx context.Context, s *meta.Snapshot, w io.Writer, by string, now time.Time) (Summary, error) {
	a := archiver{zip: gzip.NewWriter(w), sum: sha256.New()}
	summary := Summary{Rows: map[string]int64{}}
	if err := a.line(archiveHeader{archiveFormat, archiveVersion, now.UTC(), by}); err != nil {
		return summary, err
	}
	var total int64
	for _, t := range meta.Tables() {
		head := archiveTable{Table: t.Name}
		for _, c := range t.Columns {
			head.Columns = append(head.Columns, c.Name)
		}
		if err := a.line(head); err != nil {
			return summary, err
		}
		err := s.Rows(ctx, t, func(row []any) error {
			summary.Rows[t.Name]++
			total++
			return a.line(row)
		})
		if err != nil {
			return summary, err
		}
	}
	if err := a.line(archiveEnd{total, hex.EncodeToString(a.sum.Sum(nil))}); err != nil {
		return summary, err
	}
	return summary, a.zip.Close()
}

type archiver struct {
	zip *gzip.Writer
	sum hash.Hash
}

func (a archiver) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	a.sum.Write(b)
	_, err = a.zip.Write(b)
	return err
}

// readArchive hands the rows of an archive to insert. Errors besides those of insert:
// ErrArchive.
func readArchive(r io.Reader, insert func(meta.Table, []any) error) (Summary, error) {
	d := dearchiver{sum: sha256.New(), insert: insert, summary: Summary{Rows: map[string]int64{}}}
	zip, err := gzip.NewReader(r)
	if err == nil {
		d.lines = bufio.NewReaderSize(zip, 1<<20)
		err = d.read()
	}
	if err != nil && d.failed == nil {
		err = fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return d.summary, err
}

type dearchiver struct {
	lines   *bufio.Reader
	sum     hash.Hash
	insert  func(meta.Table, []any) error
	summary Summary

	failed  error // that of insert
	table   meta.Table
	columns []int // where each value of a line goes in a row
}

func (d *dearchiver) read() error {
	var header archiveHeader
	line, _, err := d.next()
	if err != nil {
		return err
	}
	if json.Unmarshal(line, &header) != nil || header.Format != archiveFormat {
		return errors.New("it is not a backup of a registry")
	}
	if header.Version > archiveVersion {
		return fmt.Errorf("it was made by berth %s, which is newer than this one", header.By)
	}
	for total := int64(0); ; {
		line, sum, err := d.next()
		if err != nil {
			return err
		}
		if line[0] == '[' {
			total++
			if err := d.row(line); err != nil {
				return err
			}
			continue
		}
		var end archiveEnd
		if err := json.Unmarshal(line, &end); err != nil {
			return err
		}
		if end.SHA256 != "" {
			if end.Rows != total || end.SHA256 != hex.EncodeToString(sum) {
				return errors.New("it is damaged: its checksum is not that of its rows")
			}
			return nil
		}
		if err := d.begin(line); err != nil {
			return err
		}
	}
}

// next returns a line and the checksum of all before it.
func (d *dearchiver) next() (line, sum []byte, err error) {
	line, err = d.lines.ReadBytes('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && len(line) < 2 {
		err = errors.New("it has an empty line")
	}
	sum = d.sum.Sum(nil)
	d.sum.Write(line)
	return line, sum, err
}

// begin is the first line of a table.
func (d *dearchiver) begin(line []byte) error {
	var head archiveTable
	if err := json.Unmarshal(line, &head); err != nil {
		return err
	}
	tables := meta.Tables()
	i := slices.IndexFunc(tables, func(t meta.Table) bool { return t.Name == head.Table })
	if i < 0 {
		return fmt.Errorf("it has a table %q that this berth does not know; it was made by a newer one", head.Table)
	}
	d.table, d.columns = tables[i], nil
	for _, name := range head.Columns {
		at := slices.IndexFunc(d.table.Columns, func(c meta.Column) bool { return c.Name == name })
		if at < 0 {
			return fmt.Errorf("it has a column %s.%s that this berth does not know; it was made by a newer one", head.Table, name)
		}
		d.columns = append(d.columns, at)
	}
	return nil
}

func (d *dearchiver) row(line []byte) error {
	var values []json.RawMessage
	if err := json.Unmarshal(line, &values); err != nil {
		return err
	}
	if len(values) != len(d.columns) {
		return fmt.Errorf("a row of %s has %d values for %d columns", d.table.Name, len(values), len(d.columns))
	}
	row := make([]any, len(d.table.Columns))
	for i, v := range values {
		at := d.columns[i]
		var err error
		if row[at], err = parse(d.table.Columns[at].Kind, v); err != nil {
			return fmt.Errorf("%s.%s: %w", d.table.Name, d.table.Columns[at].Name, err)
		}
	}
	d.summary.Rows[d.table.Name]++
	d.failed = d.insert(d.table, row)
	return d.failed
}

// parse is the value of a column; that of bytes is base64, as encoding/json has it.
func parse(kind meta.Kind, v json.RawMessage) (any, error) {
	if string(v) == "null" {
		return nil, nil
	}
	switch kind {
	case meta.Int:
		return as[int64](v)
	case meta.Text:
		return as[string](v)
	case meta.Bool:
		return as[bool](v)
	default:
		text, err := as[string](v)
		if err != nil {
			return nil, err
		}
		return base64.StdEncoding.DecodeString(text)
	}
}

func as[T any](v json.RawMessage) (T, error) {
	var value T
	err := json.Unmarshal(v, &value)
	return value, err
}
