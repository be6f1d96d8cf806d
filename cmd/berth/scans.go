package main

// scanCommand is about what is wrong with images.
type scanCommand struct {
	DB scanDBCommand `cmd:"" name:"db" help:"The databases that images are scanned with."`
}
