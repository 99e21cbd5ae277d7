package aws

import "regexp"

// aRegion is the form of the regions of AWS, in all of its partitions.
var aRegion = regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx|cn)(-gov|-iso[a-z]?|-isoe)?-(north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9]$|^eusc-de-east-[1-9]$`)

// Notes remarks on a region that AWS hardly has: requests to it would end at a name
// that does not resolve. Other providers name theirs as they like.
func (s Settings) Notes() []string {
	if s.Endpoint != "" || s.Region == "" || aRegion.MatchString(s.Region) {
		return nil
	}
	return []string{"region: is not written as the regions of AWS are, such as eu-central-1"}
}
