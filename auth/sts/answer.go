package sts

import (
	"encoding/xml"
	"net/http"
	"strconv"
)

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

type metadata struct {
	RequestID string `xml:"RequestId"`
}

// response is the answer to an operation.
type response struct {
	XMLName  xml.Name
	Result   any
	Metadata metadata `xml:"ResponseMetadata"`
}

// errorResponse is the answer to what cannot be done.
type errorResponse struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Error     errorMember
	RequestID string `xml:"RequestId"`
}

type errorMember struct {
	Type    string // whose fault it is: Sender or Receiver
	Code    string
	Message string
}

// named gives a result the name that it has in the answer.
type named struct {
	name   string
	result any
}

func (n named) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	start.Name = xml.Name{Local: n.name}
	return e.EncodeElement(n.result, start)
}

func writeResult(w http.ResponseWriter, id, action string, result any) {
	write(w, http.StatusOK, response{
		XMLName:  xml.Name{Space: namespace, Local: action + "Response"},
		Result:   named{action + "Result", result},
		Metadata: metadata{id},
	})
}

func writeError(w http.ResponseWriter, id string, e *Error) {
	whose := "Sender"
	if e.Status >= http.StatusInternalServerError {
		whose = "Receiver"
	}
	write(w, e.Status, errorResponse{Error: errorMember{whose, e.Code, e.Message}, RequestID: id})
}

func write(w http.ResponseWriter, status int, v any) {
	b, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "the registry has failed", http.StatusInternalServerError) // no value here can cause it
		return
	}
	b = append(b, '\n')
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}
