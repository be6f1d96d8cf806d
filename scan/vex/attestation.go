package vex

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"berth/scan"
)

// parseEnvelope reads what a DSSE envelope holds.
// https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
func parseEnvelope(b []byte, covers func(algorithm, hex string) bool, wrapped int) (scan.VEXDocument, error) {
	var envelope struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
	}
	if err := json.Unmarshal(b, &envelope); err != nil {
		return scan.VEXDocument{}, fmt.Errorf("the envelope cannot be read: %w", err)
	}
	if !strings.HasPrefix(envelope.PayloadType, "application/vnd.in-toto") {
		return scan.VEXDocument{}, ErrNoVEX
	}
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	if err != nil {
		// The specification allows either alphabet.
		payload, err = base64.URLEncoding.DecodeString(envelope.Payload)
	}
	if err != nil {
		return scan.VEXDocument{}, fmt.Errorf("the payload of the envelope is not base64: %w", err)
	}
	return parse(payload, covers, wrapped)
}

// parseAttestation reads the predicate of an in-toto statement, if that is a VEX document and
// the statement is about the image.
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
func parseAttestation(b []byte, covers func(algorithm, hex string) bool) (scan.VEXDocument, error) {
	var attestation struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(b, &attestation); err != nil {
		return scan.VEXDocument{}, fmt.Errorf("the attestation cannot be read: %w", err)
	}
	openVEX := strings.HasPrefix(attestation.PredicateType, "https://openvex.dev/ns")
	cycloneDX := strings.HasPrefix(attestation.PredicateType, "https://cyclonedx.org/")
	if !strings.HasPrefix(attestation.Type, "https://in-toto.io/Statement/") || !openVEX && !cycloneDX {
		return scan.VEXDocument{}, ErrNoVEX
	}
	var doc scan.VEXDocument
	var err error
	if openVEX {
		doc, err = parseOpenVEX(attestation.Predicate, true)
	} else {
		doc, err = parseCycloneDX(attestation.Predicate)
	}
	if err != nil {
		return doc, err
	}
	for _, s := range attestation.Subject {
		for algorithm, hex := range s.Digest {
			if covers(algorithm, strings.ToLower(hex)) {
				return doc, nil
			}
		}
	}
	doc.Statements = nil
	return doc, errors.New("the attestation is not about the image that it refers to: none of its subjects has the image's digest")
}
