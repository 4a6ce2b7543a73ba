package cwmp

func (r *decoding) download() (*Download, error) {
	m := &Download{}
	return m, r.fields(func(name []byte) error {
		switch string(name) {
		case "CommandKey":
			return r.trimmed(&m.CommandKey)
		case "FileType":
			return r.trimmed(&m.FileType)
		case "URL":
			return r.trimmed(&m.URL)
		case "Username":
			return r.verbatim(&m.Username)
		case "Password":
			return r.verbatim(&m.Password)
		case "FileSize":
			return r.size(&m.FileSize)
		case "TargetFileName":
			return r.trimmed(&m.TargetFileName)
		case "DelaySeconds":
			return r.number(&m.DelaySeconds)
		case "SuccessURL":
			return r.trimmed(&m.SuccessURL)
		case "FailureURL":
			return r.trimmed(&m.FailureURL)
		}
		return nil
	})
}

func (r *decoding) autonomousTransferComplete() (*AutonomousTransferComplete, error) {
	m := &AutonomousTransferComplete{}
	return m, r.fields(func(name []byte) error {
		switch string(name) {
		case "AnnounceURL":
			return r.trimmed(&m.AnnounceURL)
		case "TransferURL":
			return r.trimmed(&m.TransferURL)
		case "IsDownload":
			return r.boolean(&m.IsDownload)
		case "FileType":
			return r.trimmed(&m.FileType)
		case "FileSize":
			return r.size(&m.FileSize)
		case "TargetFileName":
			return r.trimmed(&m.TargetFileName)
		case "FaultStruct":
			return r.faultStruct(&m.FaultCode, &m.FaultString)
		case "StartTime":
			return r.time(&m.StartTime)
		case "CompleteTime":
			return r.time(&m.CompleteTime)
		}
		return nil
	})
}

func (r *decoding) requestDownload() (*RequestDownload, error) {
	m := &RequestDownload{}
	return m, r.fields(func(name []byte) error {
		switch string(name) {
		case "FileType":
			return r.trimmed(&m.FileType)
		case "FileTypeArg":
			return r.fields(func(name []byte) error {
				if string(name) != "ArgStruct" {
					return nil
				}
				if err := r.member(); err != nil {
					return err
				}
				var a Arg
				err := r.fields(func(name []byte) error {
					switch string(name) {
					case "Name":
						return r.trimmed(&a.Name)
					case "Value":
						return r.verbatim(&a.Value)
					}
					return nil
				})
				m.Args = append(m.Args, a)
				return err
			})
		}
		return nil
	})
}

// size reads a number of bytes; what is none is 0.
func (r *decoding) size(n *int64) error {
	var small int
	err := r.number(&small)
	*n = int64(small)
	return err
}
