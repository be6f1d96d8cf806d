package database

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// maxPage is the largest page of either format, in bytes.
const maxPage = 64 << 10

// checkBolt looks whether head begins a file of bbolt that has size bytes. The first two
// pages say where all others are, and one of them has to be whole.
// https://github.com/etcd-io/bbolt/blob/main/internal/common/meta.go
func checkBolt(head []byte, size int64) error {
	err := checkBoltMeta(head, size)
	if err == nil {
		return nil
	}
	// Where the second page is, the first would have said.
	for page := 1 << 10; page <= maxPage; page *= 2 {
		if page < len(head) && checkBoltMeta(head[page:], size) == nil {
			return nil
		}
	}
	return err
}

// checkBoltMeta looks whether b begins with a page of the kind that a file of bbolt begins
// with. Numbers are in the order of bytes of the machine that has written it, which all
// that write such databases share.
func checkBoltMeta(b []byte, size int64) error {
	const (
		header = 16 // of any page
		length = 64 // of what is checked
		magic  = 0xED0CDAED
		known  = 2
	)
	if len(b) < header+length {
		return errors.New("it is too short")
	}
	b = b[header:]
	number := binary.LittleEndian
	checksum := fnv.New64a()
	checksum.Write(b[:length-8])
	page, pages := int64(number.Uint32(b[8:])), number.Uint64(b[40:])
	switch {
	case number.Uint32(b) != magic:
		return errors.New("it is not a file of bbolt")
	case number.Uint32(b[4:]) != known:
		return fmt.Errorf("it is a file of bbolt of version %d, not %d", number.Uint32(b[4:]), known)
	case number.Uint64(b[length-8:]) != checksum.Sum64():
		return errors.New("the checksum of its first page is wrong")
	case page < 1<<10 || page > maxPage || page&(page-1) != 0:
		return fmt.Errorf("its pages have %d bytes", page)
	case size%page != 0 || pages > uint64(size/page):
		return fmt.Errorf("it has %d bytes, and should have at least %d pages of %d: it was cut off", size, pages, page)
	}
	return nil
}

// checkSQLite looks whether head begins a file of SQLite that has size bytes.
// https://www.sqlite.org/fileformat.html#the_database_header
func checkSQLite(head []byte, size int64) error {
	if len(head) < 100 || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
		return errors.New("it is not a file of SQLite")
	}
	number := binary.BigEndian
	page := int64(number.Uint16(head[16:]))
	if page == 1 {
		page = maxPage
	}
	if page < 512 || page&(page-1) != 0 {
		return fmt.Errorf("its pages have %d bytes", page)
	}
	pages := int64(number.Uint32(head[28:]))
	if number.Uint32(head[24:]) != number.Uint32(head[92:]) {
		pages = 0 // the count is not kept by whatever has written it last
	}
	if size%page != 0 || size/page < pages {
		return fmt.Errorf("it has %d bytes, and should have %d pages of %d: it was cut off", size, pages, page)
	}
	return nil
}
